"""Compose: its files, its command line, its labels, its containers. Nothing outside this room knows Compose."""

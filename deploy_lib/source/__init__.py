"""This checkout: its commits, versions and files."""

"""Changing a host: lock, stage, switch, history, prune."""

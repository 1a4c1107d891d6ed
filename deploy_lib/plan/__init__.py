"""What a command would do on one node, and what differs there; pure."""

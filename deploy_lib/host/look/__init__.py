"""Looking at a host: scripts that change nothing, and their answers."""

"""What is done on a host. Pure functions build the scripts and read the answers; a `Session` carries them out."""

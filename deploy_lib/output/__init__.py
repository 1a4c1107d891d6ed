"""What a command shows: console and streams, without secrets."""

"""What a command shows: console, tables and streams, without secrets."""

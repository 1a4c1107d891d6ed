"""What is done on a host: pure functions build the scripts and read their answers; a session runs them."""

"""Programs for this repository's own files."""

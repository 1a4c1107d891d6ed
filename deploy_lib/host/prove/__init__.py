"""Proving a release on a host: health, probes, rosters."""

"""Releases as values: a version, an image, a release, and a history's events."""

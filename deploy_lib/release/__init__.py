"""Releases as values: a version, an image, a release."""

"""The lab under the name that it has in the wheel, for projects that this repository's own environment serves."""

from lab import lab_collection

__all__ = ["lab_collection"]

"""What all tiers have in common."""

from __future__ import annotations

from hypothesis import settings

# How long an example takes says nothing on a busy machine; and a run that fails is to fail again.
settings.register_profile("house", deadline=None, derandomize=True)
settings.load_profile("house")

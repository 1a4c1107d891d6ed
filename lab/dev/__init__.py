"""The development environment of this checkout: `invoke dev.up | dev.down | dev.logs`. KTRDR's own, as docker/backend is."""

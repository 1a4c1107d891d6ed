"""Host tasks: `fab --list` shows them."""

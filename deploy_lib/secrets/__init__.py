"""Where secret values come from, and the type that keeps them from being seen."""

"""A small reference application that keeps KTRDR's runtime contract."""

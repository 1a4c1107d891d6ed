"""A small reference application that keeps KTRDR's runtime contract; real KTRDR takes its place by image name."""

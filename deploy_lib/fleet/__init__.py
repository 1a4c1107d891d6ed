"""Several nodes: survey, deploy, roll back, rotate, prune."""

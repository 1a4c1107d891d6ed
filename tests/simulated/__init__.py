"""A host in one process: the real scripts in a real `sh`, on a Docker Engine that is a small program; see docs/simulation.md."""

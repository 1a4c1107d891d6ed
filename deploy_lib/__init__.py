"""Deploys container stacks to remote hosts over one verified SSH session each."""

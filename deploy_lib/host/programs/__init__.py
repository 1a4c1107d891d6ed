"""Programs that keep a secret in their own data, and how they are given a new one."""

"""One verified, persistent SSH connection per node, and commands whose environment stays secret."""

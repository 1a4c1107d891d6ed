"""Real hosts on one machine: sshd and a Docker Engine each, and a private registry."""

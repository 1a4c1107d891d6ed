"""A program and a source of secrets as a project has them of its own: the library knows of neither."""

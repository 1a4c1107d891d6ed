"""One node: its deployment, its switch, its proof, its dry run, its outcome."""

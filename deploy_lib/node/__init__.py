"""One node: its deployment, its proof, its dry run, its outcome."""

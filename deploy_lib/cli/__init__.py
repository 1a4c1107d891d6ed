"""What `fab` and `invoke` share: options into requests, errors into lines and exit codes."""

"""The commands of `fab` and `invoke`: flags become requests, errors become lines and exit statuses."""

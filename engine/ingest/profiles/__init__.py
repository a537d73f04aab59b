"""Profiles that are shipped: one format a file, and in `shared/` rules to include."""

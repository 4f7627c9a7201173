"""Follows jobs that are driven elsewhere."""

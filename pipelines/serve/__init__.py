"""Hosting models on Ray Serve."""

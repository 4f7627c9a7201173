"""Removes for good what a site does not keep for longer."""

"""Listens to webhooks of forges, and looks after merge requests all the time."""

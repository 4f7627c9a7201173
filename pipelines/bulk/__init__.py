"""Many merge requests at once."""

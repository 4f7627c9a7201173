"""Where merge requests live."""

"""What speaks for a merge request: a signed statement of how it came about, and how that is checked again."""

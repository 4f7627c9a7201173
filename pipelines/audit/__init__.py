"""Who did what: a chain of rows that shows when one was changed, removed or put in."""

"""Some shards of a job are done first, and tell what all of them would cost and how many would be accepted."""

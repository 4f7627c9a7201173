"""What happens to one shard: proposing an edit and judging it. Runs without Ray, a store or a forge."""

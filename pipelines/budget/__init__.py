"""What a job may cost, and what it has cost."""

"""What happens across shards: the job, planning, running on Ray, gathering, tending, reporting, the command line."""

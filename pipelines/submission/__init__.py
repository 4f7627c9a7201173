"""Jobs whose driver runs on a Ray cluster, through Ray's own job submission."""

"""One step each. What has been released stays as it is."""

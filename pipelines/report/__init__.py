"""What a job did, in one file: a page that opens from disk, CSV, or JSON lines."""

"""All jobs of a store in a browser: who may, sees how they stand down to one attempt, pauses, resumes and retries."""

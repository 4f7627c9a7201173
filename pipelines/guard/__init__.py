"""What was migrated stays migrated: a check in each repository that tells whoever writes the old way again."""

"""Training rows as files that trainers read, and such files as examples again."""

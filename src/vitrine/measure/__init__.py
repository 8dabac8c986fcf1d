"""What a configuration or a table shows: labels to learn, and fields of the user's own files."""

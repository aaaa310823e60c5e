"""What survives the program: jobs, history, files, settings."""

"""Looking inside a run while it goes on."""

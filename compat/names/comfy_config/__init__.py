"""Settings of packs."""

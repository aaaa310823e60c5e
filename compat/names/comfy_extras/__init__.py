"""Names that packs import; see the modules."""

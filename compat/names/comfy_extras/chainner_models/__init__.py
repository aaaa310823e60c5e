"""The older place of upscalers."""

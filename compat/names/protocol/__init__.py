"""Constants of the wire protocol."""

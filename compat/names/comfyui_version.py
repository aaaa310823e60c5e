"""The version of the interface these names follow."""

__version__ = "0.3.64"

"""The version of the library, which is also written into its files."""

__version__ = "0.1.0"

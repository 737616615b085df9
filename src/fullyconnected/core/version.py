"""The version of the library, which is also written into its files."""

__version__ = "0.2.0.dev0"

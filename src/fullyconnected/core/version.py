"""The version, which a file that is written also names."""

__version__ = "0.1.0"

"""A record as a page: its parts from top to bottom, and the style and the script that are its own."""

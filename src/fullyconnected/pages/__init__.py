"""Pages of one file, which load nothing from elsewhere: what they have in common, and the report on a table."""

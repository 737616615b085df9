"""Tables: CSV files read into columns, and a network with what stands between it and a table."""

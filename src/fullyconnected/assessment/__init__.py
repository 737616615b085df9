"""What can be learned from a table, how well, and what to look at next: what the commands for tables print."""

"""Tables: what becomes of columns of numbers, text and dates; and networks for the rows of CSV files."""

"""Tables: CSV files read into columns, and networks that take the rows of a table and predict a column."""

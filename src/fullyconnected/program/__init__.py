"""A network laid out as a program: its operations in order, and the memory that running them writes."""

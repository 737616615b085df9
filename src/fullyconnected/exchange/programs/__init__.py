"""Programs in other languages: formulas as loops over one row, in float32 or in int8, and as scripts."""

"""The proof: gradients held against central differences, what a difference can show, and what a mistake looks like."""

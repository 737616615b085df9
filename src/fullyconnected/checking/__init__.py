"""The proof: gradients are compared with central differences, within what differences can resolve."""

"""Training: the loop, what it records and shows, its checkpoint, the full-batch solver, and why a run diverged."""

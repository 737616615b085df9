"""Training: the loop, what it records and shows, its checkpoint, full-batch solvers, and why a run diverged."""

"""The playground: a small network that is trained before your eyes, by the library itself."""

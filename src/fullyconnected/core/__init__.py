"""The foundation of the library: arrays, settings, randomness, checks and wording. It contains no mathematics."""

"""What every part of the library stands on: arrays, settings, randomness, checks, wording. It knows no mathematics."""

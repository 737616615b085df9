"""The diagnosis: why a network does not learn, or not yet, from its data, its weights, a step and its history."""

"""The CUDA engine: the layers' own code on arrays of CuPy, each step one graph that the card replays."""

"""ONNX: files that are written, and files that are read."""

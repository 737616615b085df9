"""Pictures in SVG: a network as units and lines, and a computation as a graph."""

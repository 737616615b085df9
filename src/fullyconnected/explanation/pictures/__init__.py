"""The pictures: a network as units and lines, a computation as a graph, in SVG."""

"""From and to scikit-learn: perceptrons, and the pipelines before them."""

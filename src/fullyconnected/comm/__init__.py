"""Several processes that train one network together: what they need of each other, and who gives it to them."""

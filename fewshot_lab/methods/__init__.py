"""One module per method: short functions with the names of their papers."""

"""A model's parameters → memory laid out for the kernels, kept in a file."""

"""A model that runs in the kernels: ids in, logits out."""

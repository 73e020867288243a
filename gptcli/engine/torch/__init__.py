"""The decoder in torch: CUDA, MPS, and the reference of the CPU's kernels."""

"""The kernels: a whole forward in one call, on a CPU, without torch."""

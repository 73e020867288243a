"""The machine: memory, processors, GPUs."""

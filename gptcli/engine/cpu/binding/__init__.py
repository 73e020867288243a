"""The compiled library: its structs, finding it, and what it can run."""

"""GGUF files: the header, and files in parts."""

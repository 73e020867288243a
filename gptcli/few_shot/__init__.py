"""Few-shot matters above backends that no terminal has a part in: presets of examples."""

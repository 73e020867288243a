"""Writing to terminals: the writer, tables, heat, keys, progress."""

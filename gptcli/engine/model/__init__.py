"""What a model is: its spec, the families, and how config.json is read."""

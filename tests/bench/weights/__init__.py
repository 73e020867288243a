"""The same weights for everyone who is measured: checkpoints, GGUF files, peers' own formats."""

"""What a token leaves behind, layer by layer, and what prompts share of it."""

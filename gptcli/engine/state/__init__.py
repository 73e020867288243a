"""What a token leaves behind in a model, layer by layer, and going back to an earlier place."""

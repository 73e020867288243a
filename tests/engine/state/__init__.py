"""The state of a model, layer by layer, and asking what cannot go back."""

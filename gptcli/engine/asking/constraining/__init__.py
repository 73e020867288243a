"""Texts that have to be of a form: which tokens may come next, by llguidance."""

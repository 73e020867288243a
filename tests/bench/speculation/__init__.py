"""Texts written with and without drafts, beside each other."""

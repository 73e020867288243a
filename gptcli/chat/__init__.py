"""Conversations under way, and conversations that are kept."""

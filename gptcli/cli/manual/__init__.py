"""The man pages, made from the app."""

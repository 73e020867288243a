"""A GPT in your terminal: text completion on an engine of its own, with every step in view."""

__version__ = "0.1.0"

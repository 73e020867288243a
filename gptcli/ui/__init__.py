"""Types → what a person or a program reads. Knows nothing of models or backends.

Two writers only: `terminal.writer.TerminalWriter`, on which no control character of a text ever
takes effect, and `data.writer.DataWriter`, which writes exact bytes. The rooms stand on each other:
words, terminal, data, views, pages.
"""

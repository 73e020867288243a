"""Types → what a person or a program reads. Knows nothing of models or backends.

Two writers only: `terminal.TerminalWriter`, on which no control character of a text ever takes
effect, and `data.DataWriter`, which writes exact bytes.
"""

"""The command line: rooms for commands, flags, input, the chat on a terminal, the manual."""

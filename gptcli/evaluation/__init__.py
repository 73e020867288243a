"""How good answers are, how far apart distributions are, how fast a process is."""

"""How rows ask: a file for each kind of question."""

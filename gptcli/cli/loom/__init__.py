"""`gptcli loom` on a terminal: a tree of texts under one's keys, while a model writes."""

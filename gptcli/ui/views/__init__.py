"""An answer as it is shown: a file a subject, on a terminal, as rows, as JSON."""

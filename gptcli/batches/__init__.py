"""Many rows: each becomes a question, its answer a row of results, whatever happens in between."""

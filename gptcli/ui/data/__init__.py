"""Writing for programs: exact bytes, JSON, arrays."""

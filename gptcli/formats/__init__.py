"""Files that strangers wrote → plain values, each reader with its limits."""

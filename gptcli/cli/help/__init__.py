"""What `--help` and `-h` say: a command at its place in the app, and its two screens."""

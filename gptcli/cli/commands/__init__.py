"""One file per subcommand, listed in `app.COMMANDS`."""

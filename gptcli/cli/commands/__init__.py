"""What each command does: one file a command, the function in it has its name."""

#: A command is a file here, and the function in it that has the same name.
COMMANDS = (
    *("complete", "chat", "ask", "few_shot", "top_k", "choose", "score", "embed", "tokens"),
    *("tree", "explain", "neighbors", "attention", "lens", "bench", "serve"),
)
#: Other names of commands, each for a file above, that are not listed a second time.
ALSO = {"next": "top_k"}
#: Every name of a command, and its file, in the order in which they are listed.
NAMES = {
    name: file
    for file in COMMANDS
    for name in (*(also for also, of in ALSO.items() if of == file), file.replace("_", "-"))
}
#: Files with a function `group`, and below it SUBCOMMANDS, each a function by its name.
GROUPS = ("sessions", "models")
#: Also a command, but of no use to be listed: it tells of the others.
HELP = "help"

"""What each command does: one file a command, the function in it has its name."""

#: A command is a file here, and the function in it that has the same name.
COMMANDS = (
    *("complete", "chat", "ask", "few_shot", "top_k", "choose", "score", "embed", "tokens"),
    *("tree", "loom", "explain", "neighbors", "attention", "lens", "why", "activations"),
    *("bench", "serve"),
)
#: Those that look into a model, which are for the few: a screen names them in one line.
INSIDE = ("neighbors", "attention", "lens", "why", "activations")
#: What a command is called that is not called as its file is.
CALLED = {"top_k": "next"}
#: Their files' names, which stay names of theirs, and are not listed a second time.
ALSO = {file.replace("_", "-"): file for file in CALLED}
#: Every name of a command, and its file, in the order in which they are listed.
NAMES = {
    name: file
    for file in COMMANDS
    for name in dict.fromkeys((CALLED.get(file) or file.replace("_", "-"), file.replace("_", "-")))
}
#: Files with a function `group`, and below it SUBCOMMANDS, each a function by its name.
GROUPS = ("steer", "sessions", "templates", "config", "models")
#: Also a command, but of no use to be listed: it tells of the others.
HELP = "help"

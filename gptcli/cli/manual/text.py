"""What gptcli(1) says that the app itself does not: environment and files."""

from __future__ import annotations

ENVIRONMENT = (
    ("GPTCLI_DATA_DIR", "Where the default model, packed weights and tokenizers live."),
    ("GPTCLI_DEBUG", "Not empty: a failure also prints its traceback."),
    (
        "GPTCLI_KERNELS",
        "When gptcli is installed: 0 does not compile the CPU kernels, 1 makes it an error where"
        " they cannot be.",
    ),
    ("GPTCLI_SERVE_TOKEN", "The token that gptcli serve asks for, where no --token-file names it."),
    ("HF_HOME", "Where the Hugging Face hub's cache and token live."),
    ("HF_HUB_OFFLINE", "1: models are not looked for on the network."),
    ("HF_TOKEN", "Gives access to models of the Hugging Face hub that ask for it."),
    ("XDG_RUNTIME_DIR", "Where the sockets of servers in the background are."),
    ("NO_COLOR", "Not empty: no colours."),
    ("FORCE_COLOR", "Not empty: colours even where the output is no terminal."),
    ("COLUMNS", "How wide help and tables are."),
)
FILES = (
    (
        "~/.config/gptcli/config.toml",
        "Settings for all commands, with the names of the long flags, and below them tables:"
        " templates (see gptcli-templates(1)) and endpoints. XDG_CONFIG_HOME moves it;"
        " on macOS it is in ~/Library/Application Support/gptcli.",
        'model = "gpt2"\ntemperature = 0.7\nmax-new-tokens = 100\n\n[template.short]\n'
        'prompt = "In one sentence: {input}"',
    ),
    (
        "~/.local/share/gptcli/",
        "The default model, packed weights and tokenizers, logs of servers in the background, and"
        " trees of loom that had no file when they were ended."
        " XDG_DATA_HOME and GPTCLI_DATA_DIR move it; on macOS it is ~/Library/Application"
        " Support/gptcli.",
        "",
    ),
)
PRECEDENCE = (
    "A flag outweighs a template that is named beside it, which outweighs the environment, which"
    " outweighs what a session of chat keeps, which outweighs the user's file (see FILES), which"
    " outweighs the default. These variables do what the flag does:"
)

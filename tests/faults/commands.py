"""Every subcommand, with arguments that it does its work with on a small model."""

from __future__ import annotations

from pathlib import Path

from gptcli.chat import sessions
from gptcli.chat.sessions import Session
from gptcli.loom import Tale, write_file
from gptcli.types.chat import Message

#: {model}, {chat} and {place} are to be filled in; SESSION is a kept conversation.
SESSION = "kept"
COMMANDS: dict[str, str] = {
    "complete": "complete -m {model} -n 2 --seed 1 a",
    "complete-json": "complete -m {model} -n 2 --seed 1 --json a",
    "chat": "chat -m {chat} -n 1 --seed 1 a",
    "chat-prompt": "chat -m {chat} --show-prompt a",
    "ask": "ask -m {model} --type choice:a,b c",
    "few-shot": "few-shot -m {model} --example a b -n 1 --seed 1 c",
    "top-k": "top-k -m {model} a",
    "top-k-steps": "top-k -m {model} --steps 2 --seed 1 a",
    "choose": "choose -m {model} --choice a --choice b c",
    "score": "score -m {model} abc",
    "tokens": "tokens -m {model} abc",
    "tree": "tree -m {model} --depth 1 a",
    "loom": "loom --save {place}/tale.json",
    "loom-dot": "loom --save {place}/tale.json --dot",
    "explain": "explain -m {model} --seed 1 a",
    "neighbors": "neighbors -m {model} the",
    "attention": "attention -m {model} abc",
    "lens": "lens -m {model} abc",
    "why": "why -m {model} abc",
    "ablate": "ablate -m {model} abc",
    "patch": "patch -m {model} --clean abc --corrupt abd",
    "bench": "bench -m {model} --measure prefill --prompt-tokens 4 --rounds 1",
    "sessions-list": "sessions list",
    "sessions-show": f"sessions show {SESSION}",
    "sessions-export": f"sessions export {SESSION}",
    "models-list": "models list",
    "models-show": "models show {model}",
    "models-families": "models families",
    "models-verify": "models verify {model}",
    "models-path": "models path {model}",
    "models-merge": "models merge {model} --adapter {place}/adapter -o {place}/merged",
    "help": "help complete",
    "brief-help": "tree -h",
    "version": "--version",
}
#: Prints nothing: what it makes is a directory.
SILENT = ("models-merge",)
#: Speeds differ from run to run.
VARYING = ("bench",)


def argv_of(name: str, model: Path, chat: Path, place: Path) -> list[str]:
    """The words of a command line."""
    return COMMANDS[name].format(model=model, chat=chat, place=place).split()


def keep_tree(place: Path) -> None:
    """The tree that some commands are about."""
    tale = Tale("é a", 1)
    tale.add(0, " b")
    write_file(place / "tale.json", tale)


def keep_session() -> None:
    """The conversation that some commands are about."""
    said, made = (Message("user", "é a"), Message("assistant", "b")), "2026-01-01T00:00:00"
    sessions.save(Session(SESSION, messages=said, model="echo", created=made, updated=made))

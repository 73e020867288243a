"""Conversations that are kept: under a name in the data directory, or in any file."""

from gptcli.chat.sessions.form import Session, as_json, encode
from gptcli.chat.sessions.markdown import MARKDOWN, as_markdown, is_markdown
from gptcli.chat.sessions.store import (
    Listed,
    exists,
    held,
    latest,
    list_sessions,
    load,
    names,
    read_file,
    remove,
    save,
    write_bytes,
    write_file,
)

__all__ = [
    "MARKDOWN",
    "Listed",
    "Session",
    "as_json",
    "as_markdown",
    "encode",
    "exists",
    "held",
    "is_markdown",
    "latest",
    "list_sessions",
    "load",
    "names",
    "read_file",
    "remove",
    "save",
    "write_bytes",
    "write_file",
]

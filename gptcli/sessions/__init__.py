"""Conversations that are kept: under a name in the data directory, or in any file."""

from gptcli.sessions.form import Session
from gptcli.sessions.store import (
    Listed,
    held,
    list_sessions,
    load,
    read_file,
    remove,
    save,
    write_file,
)

__all__ = [
    "Listed",
    "Session",
    "held",
    "list_sessions",
    "load",
    "read_file",
    "remove",
    "save",
    "write_file",
]

"""A model's name → a directory on disk with config.json, safetensors weights and a tokenizer.

Light to import, since shell completion uses it, and since most commands want one name of it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gptcli.models.acquire import find, obtain, offer, update
    from gptcli.models.catalog import Entry, known_names, listing, names_elsewhere
    from gptcli.models.cleaning import Cleaned, clean
    from gptcli.models.conversion import convert
    from gptcli.models.facts import ModelFacts, facts_of
    from gptcli.models.hub_search import search
    from gptcli.models.removal import Removed, remove
    from gptcli.models.verification import Check, Verdict, verify

__all__ = [
    "Check",
    "Cleaned",
    "Entry",
    "ModelFacts",
    "Removed",
    "Verdict",
    "clean",
    "convert",
    "facts_of",
    "find",
    "known_names",
    "listing",
    "names_elsewhere",
    "obtain",
    "offer",
    "remove",
    "search",
    "update",
    "verify",
]
#: The files in which those names are.
_FILES = {
    **dict.fromkeys(("find", "obtain", "offer", "update"), "acquire"),
    **dict.fromkeys(("Entry", "known_names", "listing", "names_elsewhere"), "catalog"),
    **dict.fromkeys(("Cleaned", "clean"), "cleaning"),
    "convert": "conversion",
    **dict.fromkeys(("ModelFacts", "facts_of"), "facts"),
    "search": "hub_search",
    **dict.fromkeys(("Removed", "remove"), "removal"),
    **dict.fromkeys(("Check", "Verdict", "verify"), "verification"),
}


def __getattr__(name: str) -> Any:
    """A name of `__all__`, its file imported when it is first asked for."""
    if name not in _FILES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__name__}.{_FILES[name]}"), name)
    globals()[name] = found
    return found

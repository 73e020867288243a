"""A model's name → a directory on disk with config.json, safetensors weights and a tokenizer.

Light to import: shell completion uses it.
"""

from __future__ import annotations

from gptcli.models.acquire import find, obtain
from gptcli.models.catalog import Entry, known_names, listing
from gptcli.models.facts import ModelFacts, facts_of
from gptcli.models.removal import Removed, remove
from gptcli.models.verification import Check, Verdict, verify

__all__ = [
    "Check",
    "Entry",
    "ModelFacts",
    "Removed",
    "Verdict",
    "facts_of",
    "find",
    "known_names",
    "listing",
    "obtain",
    "remove",
    "verify",
]

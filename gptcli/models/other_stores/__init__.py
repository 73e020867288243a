"""Models that other tools keep on this disk: they run from where they are, without a copy.

Nothing is written there, and nothing removed.
"""

from __future__ import annotations

from gptcli.models.other_stores.base import Kept, Store
from gptcli.models.other_stores.folders import LLAMA_CPP, LM_STUDIO
from gptcli.models.other_stores.ollama import OLLAMA

__all__ = ["BY_PREFIX", "Kept", "Store"]

#: What stands before the colon of a name → the store.
BY_PREFIX: dict[str, Store] = {each.prefix: each for each in (OLLAMA, LM_STUDIO, LLAMA_CPP)}

"""The hub's models that run here, found by words."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from gptcli.errors import ModelError, NetworkError
from gptcli.models import hub_answers, hub_cache, hub_errors, hub_offer
from gptcli.models.gguf import families as gguf_families
from gptcli.models.hub_answers import Facts
from gptcli.models.hub_cache import Repo
from gptcli.models.quantised_facts import METHODS
from gptcli.types.events import Progress
from gptcli.types.models import Offer

#: What is asked of each model in the hub's list.
_EXPAND: list[Any] = ["config", "downloads", "gated", "gguf", "safetensors", "tags"]
#: For each that is wanted so many of the hub's are looked at: most of some words are pictures.
_LOOKED_AT, _MOST = 10, 1000
#: Listings of repositories that are asked for at a time.
_AT_ONCE = 8


def search(
    words: str, families: Collection[str], limit: int
) -> Generator[Progress, None, tuple[list[Offer], int]]:
    """The most downloaded models of these words that run here, and how many were looked at.

    families: every model_type that runs. Raises NetworkError.
    """
    label = f"searching the hub for {words}"
    yield Progress(label, 0)
    with hub_errors.translated(words):
        hub_answers.prepare()
        looked_at, found = 0, []
        for name, facts in _listed(words, min(limit * _LOOKED_AT, _MOST)):
            looked_at += 1
            repo = hub_cache.parse(name)
            if repo is not None and runs(facts, families):
                found.append(repo)
            if len(found) == limit:
                break
        offers = []
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for offer in pool.map(_offer, found):
                offers += [offer] if offer and offer.variants else []
                yield Progress(label, 0)
    return offers, looked_at


def runs(facts: Facts, families: Collection[str]) -> bool:
    """Whether what the hub says of a model is that of one that runs."""
    if facts.architecture is not None:
        return facts.architecture in gguf_families.supported()
    return facts.family in families and facts.method in (None, *METHODS)


def _listed(words: str, most: int) -> Iterator[tuple[str, Facts]]:
    from huggingface_hub import HfApi

    with hub_answers.understood(words):
        found: Any = HfApi().list_models(search=words, sort="downloads", limit=most, expand=_EXPAND)
        for info in found:
            if isinstance(info.id, str):
                yield info.id, hub_answers.facts_of(info)


def _offer(repo: Repo) -> Offer | None:
    """None for a repository that has gone since it was listed, or says nothing of use."""
    with suppress(ModelError, NetworkError), hub_errors.translated(repo):
        return hub_offer.of(repo, hub_answers.listing(repo))
    return None

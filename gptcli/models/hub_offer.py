"""What a repository of the hub offers: its variants, their sizes, and what they take to run."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from gptcli.errors import ModelError
from gptcli.formats.model_files import CONFIG, TOKENIZER
from gptcli.formats.safetensors import shards
from gptcli.models import hub_cache, local
from gptcli.models.hub_answers import Listing
from gptcli.models.hub_cache import Repo
from gptcli.models.hub_variants import choose, listed, memory, variants
from gptcli.types.models import Offer, OfferedVariant
from gptcli.units import size

#: Bytes beside the weights: the tokenizer, what is computed with, and a short KV cache.
_BESIDE = 256 << 20
_SAFETENSORS = ".safetensors"


def of(repo: Repo, listing: Listing) -> Offer:
    """What a repository of these files offers."""
    facts, found = listing.facts, variants(listing.files)
    offered = []
    if trouble(repo, listing.files) is None:
        sizes = _weights(listing.files)
        weights = None if None in sizes else sum(count or 0 for count in sizes)
        offered.append(OfferedVariant("", len(sizes), weights, _beside(weights)))
    for each in found:
        needed = memory(each, facts.parameters)
        offered.append(OfferedVariant(each.name, len(each.files), each.size, _beside(needed)))
    default = None if offered and not offered[0].name else choose(found, "")
    here = [each.name for each in hub_cache.gguf(repo)]
    return Offer(
        name=str(repo),
        family=facts.family or facts.architecture,
        parameters=facts.parameters,
        downloads=facts.downloads,
        licence=facts.licence,
        gated=facts.gated,
        variants=tuple(offered),
        default=default.name if default else "",
        here=("", *here) if hub_cache.find(repo) else tuple(here),
    )


def trouble(repo: Repo, names: Collection[str]) -> ModelError | None:
    """Why files of these names are no model in safetensors, None where they are."""
    if CONFIG not in names:
        return ModelError(str(repo), f"has no {CONFIG}: it is not a transformers model")
    if not {shards.WEIGHTS, shards.INDEX} & set(names):
        if any(name.endswith(shards.PICKLES) for name in names):
            return ModelError(str(repo), shards.NO_PICKLES, "look for a safetensors version")
        return ModelError(str(repo), "has no safetensors weights")
    if not local.has_tokenizer(names):
        return ModelError(str(repo), f"has no {TOKENIZER}")
    return None


def told(offer: Offer, room: int | None) -> str:
    """Which variants there are, and which one is taken, in a line."""
    said = []
    for each in offer.variants:
        about = [] if each.size is None else [size(each.size)]
        if each.fits(room) is False and each.memory is not None:
            about.append(f"needs {size(each.memory)} of memory")
        said.append(each.name + (f" ({', '.join(about)})" if about else ""))
    return f"takes {offer.default} of {listed(said)}; {offer.name}:NAME takes another"


def _beside(weights: int | None) -> int | None:
    return None if weights is None else weights + _BESIDE


def _weights(files: Mapping[str, int | None]) -> list[int | None]:
    """Bytes of the one file, else of the shards that lie beside their index."""
    if shards.WEIGHTS in files:
        return [files[shards.WEIGHTS]]
    return [
        count for name, count in files.items() if name.endswith(_SAFETENSORS) and "/" not in name
    ]

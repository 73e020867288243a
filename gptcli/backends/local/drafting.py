"""A model that drafts for another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gptcli.errors import UsageError
from gptcli.types.drafts import ALONE, STATES

if TYPE_CHECKING:
    from gptcli.backends.local.open_model import OpenModel
    from gptcli.engine.asking.drafter import Drafter
    from gptcli.engine.asking.prefix import PrefixCache


def new_prefix(model: OpenModel, *, comes_back: bool = True) -> PrefixCache:
    """A state for texts, with the prompts on the disk and what drafts; see PrefixCache.

    Raises UsageError where the vocabularies differ, or where one of the two models cannot do it,
    and the errors of the engine.
    """
    from gptcli.engine.asking.prefix import PrefixCache

    kept, drafter = model.prompts, model.kept(_drafter)
    return PrefixCache(model.runner, comes_back=comes_back, kept=kept, drafter=drafter)


def _drafter(model: OpenModel) -> Drafter | None:
    draft = model.draft
    if draft is None:
        return None
    from gptcli.engine.asking.drafter import Drafter

    common = _common(model, draft)
    for each in (model, draft):
        if not each.runner.new_state().steady:
            raise UsageError("--draft", f"{each.name}: {STATES}")
    if model.drafts is None and not model.runner.facts.alike:
        raise UsageError("--draft", ALONE)
    return Drafter(draft.runner, common)


def _common(model: OpenModel, draft: OpenModel) -> int:
    """How many tokens both have, which are the first ones of each."""
    one, other = model.vocabulary, draft.vocabulary
    common = min(len(one), len(other))
    if one[:common] == other[:common]:
        return common
    at = next(i for i in range(common) if one[i] != other[i])
    reason = f"token {at} of {draft.name} is {_shown(other[at])}, that of {model.name}"
    raise UsageError("--draft", f"{reason} {_shown(one[at])}: another vocabulary")


def _shown(data: bytes) -> str:
    return repr(data.decode(errors="replace"))[:40]

"""What a session keeps of the sampler, and gives back."""

from __future__ import annotations

from dataclasses import fields

import pytest

from gptcli.chat.kept_settings import restored, settings_of
from gptcli.chat.sessions import Session
from gptcli.errors import InputError
from gptcli.types.chat import ChatRequest
from gptcli.types.sampling import LISTS, SamplingWish

WISH = SamplingWish(
    temperature=0.5,
    dry_multiplier=0.8,
    dry_allowed_length=3,
    xtc_probability=0.25,
    samplers=("dry", "temperature", "xtc"),
    dry_sequence_breakers=("none",),
    ban=("as an", "AI"),
)


def kept(settings):
    made = {"name": "s", "messages": (), "settings": settings}
    rest = [each for each in fields(Session) if each.name not in made]
    return Session(**made, **{each.name: "" for each in rest if each.init})


def test_samplers_are_kept():
    """Catches a list of the sampler that a conversation forgets, or takes for one text."""
    settings = settings_of(ChatRequest((), sampling=WISH), 0)
    assert restored(ChatRequest(()), kept(settings), ()).sampling == WISH
    said = restored(ChatRequest(()), kept(settings), {"ban"}).sampling
    assert said.ban == () and said.samplers == WISH.samplers


@pytest.mark.parametrize("name", LISTS)
def test_what_is_no_list_is_refused(name):
    """Catches a file that somebody changed and that nobody looks at."""
    for wrong in ("dry", [1], [""]):
        with pytest.raises(InputError, match=name):
            restored(ChatRequest(()), kept({name: wrong}), ())

"""Growths, as any place to run answers them."""

from __future__ import annotations

import math

from gptcli.backends.echo import EchoBackend
from gptcli.loom import Tale
from gptcli.loom.growth import Growth, Wish
from gptcli.types.completion import Chunk, Request, TokenInfo
from gptcli.types.events import Notice

WISH = Wish(Request("", max_new_tokens=2, logprobs=0), "echo", {"temperature": 0.5})


def test_answers_become_nodes():
    """Catches samples that are mixed, a prompt that is not all of the path, a lost way."""
    tale = Tale("a b", 5)
    tale.add(0, " c")
    growth = Growth(tale, tale.at, 2, WISH)
    assert growth.request.prompt == "a b c" and growth.request.samples == 2
    assert growth.request.seed == 6 and tale.growing == growth.ids == (2, 3)
    for event in EchoBackend().answer(growth.request):
        assert growth.take(event) is None
    settled = growth.settle()
    assert settled.kept == (2,) and settled.repeated == 1
    node = tale.nodes[2]
    assert (node.text, node.ended, node.seed, node.mean) == (" a b", "length", 6, 1.0)
    assert node.way is not None and node.way.source.model == "echo"
    assert node.way.source.dtype == "none" and node.way.settings == {"temperature": 0.5}


def test_a_stopped_growth_keeps_what_came():
    """Catches text that is lost, and numbers that JSON has no word for."""
    tale = Tale("a", 5)
    growth = Growth(tale, 0, 2, WISH)
    infos = (TokenInfo(" x", 1, -0.5, b" x"), TokenInfo("y", 2, -math.inf, b"y"))
    growth.take(Chunk(" xy", 1, infos))
    notice = Notice("prompt", "ends in a space")
    assert growth.take(notice) is notice
    settled = growth.settle()
    assert settled.kept == (2,) and settled.empty == 1
    node = tale.nodes[2]
    assert (node.text, node.ended, node.logprob) == (" xy", "stopped", -0.5)
    assert tale.at == 0 and tale.nodes[0].children == (2,)

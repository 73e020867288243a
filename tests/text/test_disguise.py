"""Content that cannot forge a control token, and is itself again afterwards."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gptcli.text.disguise import Disguise, overlap

NAMES = ("<|im_start|>", "<|im_end|>", "<s>", "</s>", "[INST]")
LETTERS = st.text(st.sampled_from("<|>/[]_imstarendINST s\U000f0000\U000f0001"))


@given(st.lists(LETTERS))
def test_no_name_is_left_and_all_comes_back(contents):
    """Catches a letter of a name that is let through, and a stand-in that content brings."""
    disguise = Disguise(NAMES, others=contents)
    for content in contents:
        worn = disguise.put_on(content)
        assert len(worn) == len(content)
        assert disguise.take_off(worn) == content
        assert not any(name[i] in worn for name in NAMES for i in range(len(name)))


def test_constants_of_the_logic_are_seen_where_that_is_safe():
    """Catches logic such as `'</think>' in content` that is blinded, and a name let through."""
    names = ("<|im_end|>",)
    constants = ["</think>", "<|im_end|>", "<|", "|><", "im", "", "\n"]
    disguise = Disguise(names, constants=constants, others=[])
    assert "</think>" in disguise.put_on("a</think>b<|im_end|>")
    assert "im_end" not in disguise.put_on("a</think>b<|im_end|>")
    assert "|><" not in disguise.put_on("|><")
    assert disguise.put_on("\n") == "\n"


def test_constants_without_end_are_not_gone_through():
    """Catches a hostile template of many strings that keeps this process busy for minutes."""
    constants = (f"</think>{i}" for i in range(10_000))
    disguise = Disguise([f"<|reserved_{i}|>" for i in range(10_000)], constants=constants)
    assert "</think>" not in disguise.put_on("</think>1")


def test_overlap():
    """Catches an alignment that is not looked at."""
    assert overlap("abc", "b") and overlap("b", "abc") and overlap("abc", "abc")
    assert overlap("abc", "cde") and overlap("cde", "abc")
    assert not overlap("abc", "def") and not overlap("</think>", "<|end|>")

"""Thoughts and answers told apart in each form, however the text is cut into tokens."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, decoders, models, pre_tokenizers
from tokenizers import Tokenizer as RustTokenizer

from gptcli.text.thinking_budget import Budget, Follower
from gptcli.text.thinking_forms import ThinkingForm, find
from gptcli.text.thinking_reader import ThinkingReader
from gptcli.text.tokenizer import Tokenizer

HARMONY = ["<|start|>", "<|channel|>", "<|message|>", "<|end|>", "<|return|>", "<|call|>"]
ELEMENTS = ["<|open|>", "<|sep|>", "<|close|>"]
SOLAR = ["<|begin|>", "<|think|>", "<|content|>", "<|end|>", "<|flush|>"]
#: name → (control tokens, other added tokens, the template's words, what opens and ends a thought)
FORMS: dict[str, tuple[list[str], list[str], str, str, str]] = {
    "tags that are tokens": ([], ["<think>", "</think>"], "", "<think>", "</think>"),
    "tags in the text": ([], [], "{{ '<think></think>' }}", "<think>\n", "\n</think>\n\n"),
    "only the end is looked for": ([], [], "split('</think>')", "<think>", "</think>\n"),
    "tags with a name": (
        ["<seed:think>", "</seed:think>"],
        [],
        "",
        "<seed:think>",
        "</seed:think>",
    ),
    "brackets": (["[THINK]", "[/THINK]"], [], "", "[THINK]", "[/THINK]"),
    "a named channel": (["<|channel>", "<channel|>"], [], "", "<|channel>thought\n", "<channel|>"),
    "messages": (
        HARMONY,
        [],
        "",
        "<|channel|>analysis<|message|>",
        "<|end|><|start|>assistant<|channel|>final<|message|>",
    ),
    "messages without channels": (
        SOLAR,
        [],
        "",
        "<|think|>",
        "<|end|><|begin|>assistant<|content|>",
    ),
    "elements": (
        ELEMENTS,
        [],
        "",
        "<|open|>think<|sep|>",
        "<|close|>think<|sep|><|open|>response<|sep|>",
    ),
    "words": (
        ["<|START_THINKING|>", "<|END_THINKING|>"],
        [],
        "",
        "<|START_THINKING|>",
        "<|END_THINKING|>",
    ),
    "sentences": (
        [],
        [],
        "Here are my reasoning steps: [BEGIN FINAL RESPONSE]",
        "Here are my reasoning steps:\n",
        "\n[BEGIN FINAL RESPONSE]\n",
    ),
    "an answer that is wrapped": (
        [],
        [],
        "<think></think> and <response></response>",
        "<think>",
        "</think>\n<response>",
    ),
}


def made(directory: Path, control: list[str], added: list[str]) -> Tokenizer:
    """Bytes, and added tokens."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    rust = RustTokenizer(models.BPE({letter: i for i, letter in enumerate(alphabet)}, []))
    rust.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    rust.decoder = decoders.ByteLevel()
    rust.add_tokens([AddedToken(name, special=True, normalized=False) for name in control])
    rust.add_tokens([AddedToken(name, normalized=False) for name in added])
    directory.mkdir(parents=True, exist_ok=True)
    rust.save(str(directory / "tokenizer.json"))
    return Tokenizer(directory)


@pytest.fixture(scope="module")
def forms(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Tokenizer, ThinkingForm]]:
    found = {}
    for place, (name, (control, added, template, *_)) in enumerate(FORMS.items()):
        tokenizer = made(tmp_path_factory.mktemp("forms") / str(place), control, added)
        form = find(tokenizer, template)
        assert form is not None, name
        found[name] = (tokenizer, form)
    return found


def pieces(tokenizer: Tokenizer, text: str, cuts: list[int]) -> list[tuple[int, bytes]]:
    """(id, bytes) of tokens: added ones as they are, all else in pieces cut at these places."""
    found: list[tuple[int, bytes]] = []
    run = 0
    for token in tokenizer.encode(text, special=True):
        if tokenizer.is_added(token):
            data = b"" if tokenizer.is_special(token) else tokenizer.bytes_of(token)
            found.append((token, data))
            run = 0
            continue
        data = tokenizer.bytes_of(token)
        if run and len(found) + run not in cuts and run < 12:
            found[-1] = (-1, found[-1][1] + data)
        else:
            found.append((-1, data))
        run += 1
    return found


def read(form: ThinkingForm, tokens: list[tuple[int, bytes]], stage="before") -> tuple[str, str]:
    reader = ThinkingReader(form, stage)
    thought, said = b"", b""
    for token in tokens:
        reader.feed(*token)
        thought, said = thought + reader.thought, said + reader.said
    reader.finish()
    return (thought + reader.thought).decode(), (said + reader.said).decode()


#: Letters, and what marks are made of.
WORDS = st.lists(
    st.sampled_from([*"ab <>/[]|\n", "é", "</thin", "think>", "[/THIN", "<|end", "\n[BEG"])
).map("".join)
CUTS = st.lists(st.integers(0, 200))


def harmless(*texts: str) -> bool:
    marks = [mark for _, _, _, *both in FORMS.values() for mark in both]
    marks += ["</response>", "<response>", "[BEGIN FINAL RESPONSE]", *HARMONY, *SOLAR, *ELEMENTS]
    marks += ["<|channel>", "<channel|>", "<think>", "</think>", "Here are"]
    return not any(mark.strip() in text for mark in marks for text in texts)


@settings(deadline=None, max_examples=40)
@pytest.mark.parametrize("name", FORMS)
@given(thought=WORDS, said=WORDS, cuts=CUTS, opened=st.booleans())
def test_both_are_told_apart_exactly_however_they_are_cut(forms, name, thought, said, cuts, opened):
    """Catches a mark that is lost where it is split, and words on the wrong side of one."""
    tokenizer, form = forms[name]
    *_, opening, closing = FORMS[name]
    thought, said = f"t{thought}t", f"s{said}s"
    text = ("" if opened else opening) + thought + closing + said
    if not harmless(thought, said):
        return
    stage = form.begins(opening) if opened else "before"
    tokens = pieces(tokenizer, text, cuts)
    assert read(form, tokens, stage) == (thought, said)


@pytest.mark.parametrize("name", FORMS)
def test_white_space_around_a_thought_is_none_of_it(forms, name):
    """Catches empty lines before an answer, and an answer that loses its indentation."""
    tokenizer, form = forms[name]
    *_, opening, closing = FORMS[name]
    text = f"{opening}\n\n Hm. \n\n{closing}"
    thought, said = read(form, pieces(tokenizer, f"{text}\n \n    code\n", []))
    assert thought == "Hm."
    # In messages what is said is exact.
    assert said == ("\n \n    code\n" if form.borders else "    code\n")
    assert read(form, pieces(tokenizer, text, [])) == ("Hm.", "")


@pytest.mark.parametrize("name", FORMS)
def test_a_thought_that_does_not_end_is_one(forms, name):
    """Catches a thought that is shown as the answer where tokens ran out, its last letters too."""
    tokenizer, form = forms[name]
    *_, opening, closing = FORMS[name]
    text = f"{opening}Hm, </thi"
    assert read(form, pieces(tokenizer, text, [])) == ("Hm, </thi", "")
    assert read(form, pieces(tokenizer, f"{opening}{closing}yes", [])) == ("", "yes")


@pytest.mark.parametrize("name", FORMS)
def test_an_answer_without_a_thought_is_exact(forms, name):
    """Catches text that is held back for ever, or loses what a mark begins with."""
    tokenizer, form = forms[name]
    for text in ("plain", " \n plain\n", "<thin", "[THI", "a", " ", "", "Here are my", "<"):
        assert read(form, pieces(tokenizer, text, [])) == ("", text)


def test_what_ends_an_element_is_no_part_of_an_answer(forms):
    """Catches names of elements in the answer, and a header that is taken for one of a thought."""
    tokenizer, form = forms["elements"]
    end = "<|close|>response<|sep|><|close|>message<|sep|>"
    assert read(form, pieces(tokenizer, f"yes{end}", []), "saying") == ("", "yes")
    assert form.begins('<|open|>message role="assistant"<|sep|>') == "before"
    assert form.begins("<|open|>think<|sep|>") == "thinking"
    assert form.begins("<|open|>response<|sep|>") == "before"
    assert form.within == {tokenizer.id_of("<|close|>")}


def test_a_mark_in_an_answer_is_text_unless_it_is_a_control_token(forms):
    """Catches an answer about `<think>` that vanishes behind that word."""
    for name in ("tags that are tokens", "tags in the text", "sentences"):
        tokenizer, form = forms[name]
        *_, opening, closing = FORMS[name]
        text = f"Write {opening}x{closing}."
        assert read(form, pieces(tokenizer, text, [])) == ("", text)
    tokenizer, form = forms["brackets"]
    text = "[THINK]a[/THINK]b[THINK]c[/THINK]d"
    assert read(form, pieces(tokenizer, text, [])) == ("a\n\nc", "bd")
    # Spelled letter by letter they are no tokens.
    spelled = [(-1, b"[THINK]"), (-1, b"x")]
    assert read(form, spelled) == ("", "[THINK]x")


def test_an_answer_on_its_own_line_keeps_its_spaces(forms):
    """Catches code that loses its indentation behind a thought that the template has ended."""
    tokenizer, form = forms["tags that are tokens"]
    code = pieces(tokenizer, "    code\n", [])
    assert read(form, code, form.begins("<think>\n\n</think>\n\n")) == ("", "    code\n")
    assert read(form, pieces(tokenizer, " yes", []), form.begins("</think>")) == ("", "yes")


def test_what_is_around_an_answer_goes(forms):
    """Catches `</response>` at an answer's end, and a tag that is cut from an answer without."""
    tokenizer, form = forms["an answer that is wrapped"]
    text = "<think>a</think>\n<response>\nyes\n\nno\n</response>\n"
    for cuts in ([], list(range(99))):
        assert read(form, pieces(tokenizer, text, cuts)) == ("a", "yes\n\nno")
    plain = "<think>a</think>\n\n<resp> </response>\n"
    assert read(form, pieces(tokenizer, plain, [])) == ("a", "<resp> </response>\n")


THOUGHT = "<|channel|>analysis<|message|>Hm, final.<|end|>"
SAID = "<|channel|>final<|message|>Paris, final."


@pytest.mark.parametrize(
    ("text", "seen", "thinking"),
    [
        (f"{THOUGHT}<|start|>assistant{SAID}<|return|>", "Paris, final.", False),
        (SAID, "Paris, final.", False),
        (THOUGHT, "", True),
        (f"{THOUGHT}<|start|>assistant<|channel|>fin", "", True),
        (f"{SAID}<|end|><|start|>assistant{THOUGHT}", "Paris, final.", True),
        (f"{SAID}<|end|><|start|>assistant{SAID}", "Paris, final.Paris, final.", False),
        ("<|channel|>commentary to=functions.x <|message|>{}<|call|>", "", True),
        ("<|channel|>final <|message|>a é", "a é", False),
        ("<|channel|>finally<|message|>a", "", True),
        ("the rest of a message<|end|>", "the rest of a message", False),
    ],
)
def test_only_the_final_channel_is_said(forms, text, seen, thinking):
    """Catches thinking that is shown as the answer, and an answer lost with the thinking."""
    tokenizer, form = forms["messages"]
    reader = ThinkingReader(form)
    said = b""
    for token in pieces(tokenizer, text, []):
        reader.feed(*token)
        said += reader.said
    assert (said.decode(), reader.stage == "thinking") == (seen, thinking)


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("opened", [False, True])
def test_a_budget_ends_a_thought_and_the_answer_begins(forms, name, opened):
    """Catches a thought that goes on, and a mark of several tokens of which some are missing."""
    tokenizer, form = forms[name]
    *_, opening, _ = FORMS[name]
    stage = form.begins(opening) if opened else "before"

    def bytes_of(token: int) -> bytes:
        return b"" if tokenizer.is_special(token) else tokenizer.bytes_of(token)

    wanted = tokenizer.encode(("" if opened else opening) + "abcdefgh", special=True)
    budget = Budget(Follower(form, stage, bytes_of), 5, form.forced)
    drawn: list[int] = []
    for _ in range(len(wanted) + len(form.forced)):
        forced = budget.next(drawn)
        drawn.append(wanted[len(drawn)] if forced is None else forced)
        if drawn[-len(form.forced) :] == list(form.forced):
            break
    drawn += tokenizer.encode("yes")
    assert budget.next(drawn) is None
    thought, said = read(form, [(each, bytes_of(each)) for each in drawn], stage)
    assert said == "yes"
    # A new line behind the mark is a token as well.
    counted = form.opening_id is None and not form.borders and opening.endswith("\n")
    assert thought == ("abcd" if counted and not opened else "abcde")


@pytest.mark.parametrize("name", FORMS)
def test_what_is_taken_back_of_a_thought_does_not_count(forms, name):
    """Catches a budget that a ban shortens, and one that ends a thought by a banned mark again and
    again.
    """
    tokenizer, form = forms[name]
    *_, opening, _ = FORMS[name]

    def bytes_of(token: int) -> bytes:
        return b"" if tokenizer.is_special(token) else tokenizer.bytes_of(token)

    def budget() -> Budget:
        return Budget(Follower(form, "before", bytes_of), 3, form.forced)

    wanted = tokenizer.encode(opening + "abcdefgh", special=True)
    straight, there_and_back = budget(), budget()
    ended = next(n for n in range(len(wanted)) if straight.next(wanted[:n]) is not None)
    for n in [*range(ended), *range(ended - 2, ended)]:
        assert there_and_back.next(wanted[:n]) is None
    assert there_and_back.next(wanted[:ended]) == form.forced[0]
    assert there_and_back.next(wanted[: ended - 1]) is None
    assert all(there_and_back.next(wanted[:n]) is None for n in range(ended, len(wanted)))


def test_forms_are_found_by_marks_alone(tmp_path):
    """Catches a plain model whose answers lose words, and tokens of text taken for messages."""
    plain = made(tmp_path / "plain", ["<|im_end|>"], [])
    assert find(plain) is None
    assert find(plain, "{{ 'I think, reasoning is <thin' }}") is None
    assert find(made(tmp_path / "half", [], ["<think>"])) is None
    assert find(made(tmp_path / "words", [], HARMONY)) is None
    assert find(made(tmp_path / "three", HARMONY[1:], [])) is None
    many = made(tmp_path / "many", ["[THINK]", "[/THINK]"], [])
    found = find(many, "{{ '<mm:think>' }}{{ '</mm:think>' }}")
    assert found is not None and found.description == "<mm:think> … </mm:think>"


@pytest.mark.parametrize(
    ("written", "stage"),
    [
        ("<|im_start|>assistant\n<think>\n", "thinking"),
        ("<|im_start|>assistant\n<think>\n\n</think>\n\n", "saying"),
        ("<|im_start|>assistant\n</think>", "after"),
        ("<|im_start|>assistant\n", "before"),
        ("", "before"),
    ],
)
def test_a_template_may_have_begun(forms, written, stage):
    """Catches a thought without its opening mark that is shown as the answer."""
    assert forms["tags that are tokens"][1].begins(written) == stage

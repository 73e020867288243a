"""`gptcli loom` on a real terminal: a pseudo-terminal, keys typed, the screen read."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator

import pytest

from gptcli.loom import read_file
from tests.cli.helpers import run
from tests.cli.typed import Screen
from tests.conftest import with_context
from tests.faults.terminals import OURS

pytestmark = pytest.mark.slow

ALT_ENTER, CTRL_C, ESC, UP, LEFT = "\x1b\r", "\x03", "\x1b", "\x1b[A", "\x1b[D"


@pytest.fixture
def loom(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Screen]]:
    """Start one, and wait until it is there."""
    monkeypatch.setenv("TERM", "xterm")
    begun: list[Screen] = []

    def start(*argv: str, **size: int) -> Screen:
        begun.append(Screen("loom", *argv, **size))
        begun[-1].wait(r"\? help")
        return begun[-1]

    yield start
    for each in begun:
        each.child.close(force=True)


def test_a_tree_is_grown_saved_and_opened_again(loom, tiny_model, tmp_path):
    """Catches a key that does nothing, texts that are not those of complete by their own seeds,
    a batch that draws others, and a file that another start does not go on with.
    """
    file = tmp_path / "tale.json"
    drawn = ("-m", str(tiny_model), "-n", "6", "--temp", "0.7")
    screen = loom(*drawn, "--seed", "5", "--save", str(file), "the cat", columns=60)
    screen.say("\r")
    screen.wait("tale.json · 2 texts")
    screen.say(f"{LEFT}g")
    screen.wait("tale.json · 5 texts")
    screen.say("m/the\r")
    screen.say("pu")
    screen.wait("undone: mark")
    screen.say("rq")
    screen.wait("the tree is kept in")
    assert screen.ended() == 0
    tale = read_file(file)
    assert [node.seed for node in tale.nodes.values()] == [None, 5, 6, 7, 8]
    assert sum(node.marked for node in tale.nodes.values()) == 1
    for node in [*tale.nodes.values()][1:]:
        prompt = tale.text(node.parent)
        done = run(
            "complete", *drawn, "--seed", str(node.seed), "--json", "--logprobs", "0", prompt
        )
        (choice,) = json.loads(done.text)["choices"]
        assert choice["text"] == node.text
        logprobs = [each["logprob"] for each in choice["logprobs"]["content"]]
        assert [piece.logprob for piece in node.pieces] == pytest.approx(logprobs)
    again = loom("--save", str(file), columns=120)
    assert "5 texts" in again.text and str(tiny_model) in tale.nodes[1].way.settings["model"]
    again.say("b")
    again.wait("json · 6 texts|came out as before")
    again.say("q")
    again.wait("the tree is kept in")
    assert again.ended() == 0


def test_what_a_person_wrote_is_judged(loom, tiny_model, tmp_path):
    """Catches numbers that are not those of score, and some that the file does not keep."""
    file = tmp_path / "tale.json"
    screen = loom("-m", str(tiny_model), "--save", str(file), "the cat")
    screen.say("w sat on\r")
    screen.wait("written by hand")
    screen.say("p")
    screen.wait(r"written by hand · \d+ tokens?")
    screen.say("q")
    screen.wait("the tree is kept in")
    node = read_file(file).nodes[1]
    flags = ("--json", "-m", str(tiny_model), "--context", "the cat", "-p", " sat on")
    tokens = json.loads(run("score", *flags).text)["tokens"]
    assert [each.bytes for each in node.pieces] == [bytes(each["bytes"]) for each in tokens]
    logprobs = [each["logprob"] for each in tokens]
    assert [each.logprob for each in node.pieces] == pytest.approx(logprobs)
    assert node.judge is not None and node.judge.dtype == "float32"


def test_ctrl_c_and_esc_stop_the_model_and_keep_what_came(loom, tiny_model, tmp_path):
    """Catches a growth that ends it all, that is lost, or that cannot be stopped."""
    model = with_context(tiny_model, tmp_path / "m", 30_000, None)
    file = tmp_path / "tale.json"
    bias = ("--logit-bias", "<|end|>=-inf")
    screen = loom("-m", str(model), *bias, "-n", "-1", "--save", str(file), "the cat")
    for count, key in ((2, CTRL_C), (3, ESC)):
        screen.say("b" if count > 2 else "\r")
        screen.wait("the model writes: [0-9]{2,} tokens")
        # It can be gone about in meanwhile.
        screen.say(LEFT)
        screen.wait("the prompt")
        screen.say(key)
        screen.wait(rf"loom · tale.json · {count} texts")
        screen.say("\x1b[F")
        screen.wait("stopped by hand")
    assert len(read_file(file).nodes) == 3
    screen.say(CTRL_C)
    screen.wait("the tree is kept in")
    assert screen.ended() == 0


def test_leaving_while_the_model_writes_asks_where_to(loom, tiny_model, tmp_path):
    """Catches a question that comes by itself, and that nothing can be typed to."""
    model = with_context(tiny_model, tmp_path / "m", 30_000, None)
    screen = loom("-m", str(model), "--logit-bias", "<|end|>=-inf", "-n", "-1", "the cat")
    screen.say("\r")
    screen.wait("the model writes: [0-9]+ tokens")
    screen.say("q")
    screen.wait("save to")
    screen.say(f"{tmp_path}/new.json\r")
    screen.wait("the tree is kept in")
    assert screen.ended() == 0
    assert read_file(tmp_path / "new.json").nodes[1].ended == "stopped"


def test_texts_are_typed(loom, tmp_path):
    """Catches a text that is not what was typed, keys that are commands there, a lost tree."""
    screen = loom("-m", "echo", "a b", columns=200, lines=20)
    screen.say(f"w mine q日本{ALT_ENTER}two\r")
    screen.wait("2 texts")
    screen.wait("written by hand")
    screen.say(f"e{ESC}")
    screen.say("?")
    screen.wait("Ctrl-C +Stop the model")
    screen.say("xq")
    screen.wait("save to")
    screen.say(f"{tmp_path}/new.json\r")
    screen.wait("the tree is kept in")
    assert screen.ended() == 0
    tale = read_file(tmp_path / "new.json")
    assert tale.text(tale.at) == "a b mine q日本\ntwo"


@pytest.mark.parametrize("named", [True, False])
def test_a_killed_one_loses_nothing(loom, tmp_path, own_home, named):
    """Catches a terminal that is left as it was drawn, and a tree that a closed window loses."""
    file = tmp_path / "tale.json"
    screen = loom("-m", "echo", *(("--save", str(file)) if named else ()), "a b")
    screen.say("w mine\r")
    screen.wait("2 texts")
    screen.child.kill(signal.SIGTERM)
    screen.wait("the tree is kept in")
    screen.child.wait()
    assert screen.child.signalstatus == signal.SIGTERM
    assert b"\x1b[?1049l" in screen.written
    (kept,) = [file] if named else (own_home / "data" / "loom").iterdir()
    assert [node.text for node in read_file(kept).nodes.values()] == ["a b", " mine"]
    assert kept.stat().st_mode & 0o777 == 0o600


def test_no_text_drives_the_terminal(loom):
    """Catches a sequence of the prompt's, the model's or a person's that the terminal obeys."""
    attack = "\x1b]0;TAKEN\x07\u009b2J\u202egpj\u200b end"
    screen = loom("-m", "echo", "-n", "4", f"a {attack}")
    screen.say("\rp")
    screen.wait("100.00%")
    screen.say("pq")
    screen.wait("save to")
    screen.say("\r")
    assert screen.ended() == 0
    written = (screen.written + screen.child.before).decode()
    for each in ("\x1b]0;", "\u009b", "\u202e", "\u200b", "\x07"):
        assert each not in OURS.sub("", written)
    assert "\\x1b]0;TAKEN" in written

"""What each key does, with a model that answers at once; and the model in its thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from gptcli.backends.echo import EchoBackend
from gptcli.cli.loom.grower import Grower, Over
from gptcli.cli.loom.keeper import Keeper
from gptcli.cli.loom.keys import KEYS, briefly, explained
from gptcli.cli.loom.weaver import Weaver
from gptcli.errors import InputError, ResourceError, UsageError
from gptcli.loom import Tale, read_file
from gptcli.loom.growth import Wish
from gptcli.types.completion import Chunk, Request
from gptcli.types.question import Question
from gptcli.types.score import Score, ScoreRequest, TokenScore
from gptcli.types.token import Source, Token

WISH = Wish(Request("", max_new_tokens=2, logprobs=0), "echo", {})


class Woven(Weaver):
    """One whose model says a word more with each answer, at once unless it is to wait."""

    def __init__(self, path: Path | None = None, *, waits: bool = False) -> None:
        tale = Tale("a b", 0)
        super().__init__(tale, Keeper(tale, path), WISH, 3)
        self.waits, self.stopped, self.count = waits, 0, 0
        self.start, self.stop_model = self.answer, self.stop_answer

    def answer(self, request: Question[Any]) -> None:
        self.count += 1
        self.asked_of_model = request
        if not isinstance(request, Request):
            return
        for index in range(request.samples):
            self.heard(Chunk(f" {request.seed + index}", index, finish_reason="length"))
        if not self.waits:
            self.heard(Over())

    def stop_answer(self) -> None:
        self.stopped += 1
        self.heard(Over())

    def press(self, *names: str) -> None:
        for name in names:
            next(key for key in KEYS if name in key.names).press(self)

    def type(self, text: str) -> None:
        assert self.asked is not None
        then, self.asked = self.asked.then, None
        then(text)

    @property
    def text(self) -> str:
        return self.tale.text(self.tale.at)


def test_growing_and_moving():
    """Catches a growth after another node than the one that is meant, and a lost way back."""
    weaver = Woven()
    weaver.press("enter", "enter")
    assert weaver.text == "a b 0 1"
    weaver.press("b")
    assert weaver.text == "a b 0 2"
    weaver.press("left", "left", "g")
    assert weaver.text == "a b 3" and len(weaver.tale.nodes[0].children) == 4
    weaver.press("left", "right")
    assert weaver.text == "a b 3"
    weaver.press("tab", "tab")
    assert weaver.text == "a b 5"
    weaver.press("tab")
    assert weaver.text == "a b 0"
    weaver.press("s-tab", "up")
    assert weaver.text == "a b 4"
    weaver.press("home", "down")
    assert weaver.text == "a b 0"
    weaver.press("down")
    assert weaver.text == "a b 0 1"
    weaver.press("end", "down", "pagedown")
    assert weaver.text == "a b 5"
    weaver.press("pageup", "up", "left")
    assert weaver.text == "a b"


def test_nothing_is_changed_while_the_model_writes():
    """Catches an edit that a growth overwrites, and keys that are dead meanwhile."""
    weaver = Woven(waits=True)
    weaver.press("enter")
    for name in ("enter", "b", "g", "e", "w", "d", "m", "u", "r"):
        weaver.said = ""
        weaver.press(name)
        assert "Esc stops it" in weaver.said and weaver.asked is None, name
    assert weaver.count == 1
    weaver.press("left", "/")
    weaver.type("0")
    assert weaver.text == "a b 0"
    weaver.press("escape")
    assert weaver.stopped == 1 and not weaver.tale.growing
    assert weaver.tale.here.ended == "length"
    weaver.press("m", "u")
    assert weaver.said == "undone: mark"


def test_editing_writing_and_taking_back():
    """Catches a text that is not kept, one that is where nothing was typed, and a lost undo."""
    weaver = Woven()
    weaver.press("enter", "e")
    assert weaver.asked is not None and weaver.asked.text == " 0"
    weaver.type(" zero")
    assert weaver.text == "a b zero"
    weaver.press("w")
    weaver.type("")
    assert len(weaver.tale.nodes) == 2
    weaver.press("w")
    weaver.type(" mine")
    assert weaver.text == "a b zero mine"
    weaver.press("left", "e")
    weaver.type(" other")
    assert weaver.text == "a b other" and "stays with the old text" in weaver.said
    weaver.press("d")
    assert "removed 1 text" in weaver.said
    weaver.press("u", "u", "u", "u", "u")
    assert weaver.text == "a b" and len(weaver.tale.nodes) == 1
    weaver.press("u")
    assert weaver.said == "nothing to undo"
    weaver.press("r")
    assert weaver.text == "a b 0"


def test_what_a_person_wrote_is_judged():
    """Catches numbers of another text, a model that is asked again and again, or for its own."""
    weaver = Woven()
    weaver.press("enter", "p", "p", "w")
    weaver.type(" mine")
    weaver.press("p", "p")
    assert weaver.count == 1
    weaver.judges = True
    weaver.press("p")
    assert weaver.asked_of_model == ScoreRequest(" mine", "a b 0") and weaver.busy
    weaver.press("d", "p", "p")
    assert weaver.text == "a b 0 mine" and weaver.count == 2
    tokens = tuple(TokenScore(Token(1, each), -1.0) for each in (b" mi", b"ne"))
    source = Source("m", "cpu", "float32")
    run = {"context_tokens": 2, "windows": 1, "context_size": None, "stride": None}
    weaver.heard(Score(source=source, tokens=tokens, **run))
    weaver.heard(Over())
    assert not weaver.busy and weaver.tale.here.judge == source
    assert [piece.bytes for piece in weaver.tale.here.pieces] == [b" mi", b"ne"]
    weaver.press("p", "p")
    assert weaver.count == 2


def test_finding_and_marking():
    """Catches a search that forgets what was looked for, and a mark that is not found."""
    weaver = Woven()
    weaver.press("n")
    assert "not found" in weaver.said
    weaver.press("'")
    assert "nothing is marked" in weaver.said
    weaver.press("g", "m", "end", "'")
    assert weaver.text == "a b 0"
    weaver.press("/")
    weaver.type("2")
    assert weaver.text == "a b 2"
    weaver.press("n", "N")
    assert weaver.text == "a b 2"


def test_what_came_out_before_is_told():
    """Catches twins of a model that draws the same each time."""
    weaver = Woven()
    weaver.press("enter")
    weaver.tale.seed = 2**32 - 1
    weaver.press("b")
    assert "came out as before" in weaver.said and len(weaver.tale.nodes) == 2


def test_errors_are_said_and_bugs_are_not_hidden():
    """Catches an error that ends it all, and a fault in the code that looks like one."""
    weaver = Woven(waits=True)
    weaver.press("enter")
    weaver.heard(Over(InputError("prompt", "is too long")))
    assert weaver.said == "prompt: is too long" and weaver.text == "a b 0"
    weaver.press("b")
    with pytest.raises(ZeroDivisionError):
        weaver.heard(Over(ZeroDivisionError()))


def test_leaving_without_a_file_asks(tmp_path):
    """Catches a tree that is lost, and a file that is overwritten."""
    weaver = Woven()
    weaver.press("q")
    assert weaver.over
    weaver = Woven()
    weaver.press("enter", "q")
    assert not weaver.over and weaver.asked is not None
    old = tmp_path / "old"
    old.write_text("mine")
    with pytest.raises(UsageError, match="is there already"):
        weaver.type(str(old))
    assert old.read_text() == "mine" and not weaver.over
    weaver.press("q")
    weaver.type(str(tmp_path / "new"))
    assert weaver.over and read_file(tmp_path / "new").nodes == weaver.tale.nodes
    weaver = Woven()
    weaver.press("enter", "q")
    weaver.type("")
    assert weaver.over and not weaver.keeper.unsaved


def test_a_file_is_written_after_each_growth(tmp_path):
    """Catches work that a killed process loses, and changes that leaving forgets."""
    path = tmp_path / "tale.json"
    weaver = Woven(path)
    weaver.press("enter")
    assert len(read_file(path).nodes) == 2
    weaver.press("w")
    weaver.type(" mine")
    assert read_file(path).text(2) == "a b 0 mine"
    weaver.press("e")
    weaver.type(" yours")
    assert read_file(path).text(2) == "a b 0 yours"
    weaver.press("m")
    assert weaver.keeper.unsaved
    weaver.press("q")
    assert weaver.over and read_file(path).nodes[2].marked


def test_leaving_while_the_model_writes_stops_it_first(tmp_path):
    """Catches a growth that is lost on the way out, and Ctrl-C that leaves at once."""
    weaver = Woven(tmp_path / "tale.json", waits=True)
    weaver.press("enter", "c-c")
    assert weaver.stopped == 1 and not weaver.over
    weaver.press("enter", "q")
    assert weaver.stopped == 2 and weaver.over
    assert len(read_file(tmp_path / "tale.json").nodes) == 3


def test_what_another_has_written_is_not_overwritten(tmp_path):
    """Catches two looms on one file, the later of which has the last word."""
    path = tmp_path / "tale.json"
    weaver = Woven(path)
    weaver.press("enter")
    path.write_text("other")
    weaver.press("enter")
    assert "was changed meanwhile" in weaver.said and path.read_text() == "other"
    rescued = weaver.keeper.rescue()
    assert rescued != path and read_file(rescued).nodes == weaver.tale.nodes
    with pytest.raises(ResourceError):
        Keeper(weaver.tale, None).save_as(tmp_path / "none" / "tale.json")


class Slow:
    """A place whose answer waits until it is let go on, and tells whether it was closed."""

    def __init__(self, *refused: str) -> None:
        self.refused, self.go, self.closed = refused, threading.Semaphore(0), threading.Event()
        self.asked: list[Request] = []

    def answer(self, question: Any) -> Iterator[Chunk]:
        self.asked.append(question)
        if question.logprobs is not None and self.refused:
            raise UsageError(*self.refused)
        return self._answer()

    def _answer(self) -> Iterator[Chunk]:
        try:
            while True:
                self.go.acquire()
                yield Chunk(" x")
        finally:
            self.closed.set()

    def supports(self, _: Any) -> bool:
        return True

    def close(self) -> None:
        pass


def test_a_stopped_answer_is_closed_and_over():
    """Catches a model that goes on computing, and an answer whose end nobody hears of."""
    heard: Queue[Any] = Queue()
    place = Slow()
    grower = Grower(place, heard.put)
    grower.start(WISH.request)
    place.go.release()
    assert heard.get(timeout=9) == Chunk(" x")
    grower.stop()
    place.go.release()
    assert heard.get(timeout=9) == Chunk(" x")
    assert heard.get(timeout=9) == Over() and place.closed.is_set()
    grower.close()


def test_servers_without_probabilities_write_all_the_same():
    """Catches a server that cannot be asked since it tells no numbers, and other refusals."""
    heard: Queue[Any] = Queue()
    place = Slow("--logprobs", "tells none")
    grower = Grower(place, heard.put)
    for asked in (2, 3):
        grower.start(WISH.request)
        grower.stop()
        place.go.release()
        heard.get(timeout=9)
        assert heard.get(timeout=9) == Over()
        assert len(place.asked) == asked and place.asked[-1].logprobs is None
    grower.close()
    other = Slow("--samples", "one at a time")
    grower = Grower(other, heard.put)
    grower.start(WISH.request)
    assert str(heard.get(timeout=9).error) == "--samples: one at a time"
    grower.close()


def test_answers_come_from_any_place():
    """Catches an answer that has no close, and one that is not told whole."""
    heard: Queue[Any] = Queue()
    grower = Grower(EchoBackend(), heard.put)
    grower.start(Request("a b", max_new_tokens=2))
    events = [heard.get(timeout=9) for _ in range(5)]
    assert "".join(each.text for each in events[:3]) == " a b" and events[-1] == Over()
    grower.close()


def test_each_key_is_one_and_is_told():
    """Catches a key that is bound twice, a method that is not there, and a help too wide."""
    names = [name for key in KEYS for name in key.names]
    assert len(names) == len(set(names))
    assert all(callable(getattr(Weaver, key.method)) for key in KEYS)
    assert len(list(explained())) <= 21
    assert all(len(f"{shown:<15} {meaning}") <= 60 for shown, meaning in explained())
    for width in (20, 60, 200):
        assert len(briefly(width)) <= width and briefly(width).endswith("? help")

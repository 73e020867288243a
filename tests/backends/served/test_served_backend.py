"""Asking a server: what comes, what stands in, and what happens when either side leaves."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from gptcli.backends import served as served_room
from gptcli.backends.echo import EchoBackend
from gptcli.backends.served import connection, place
from gptcli.backends.served.backend import ServedBackend
from gptcli.backends.served.connection import Connection, GoneError
from gptcli.backends.served.offering import offered
from gptcli.backends.served.standing import state_of, states_of, still_stands
from gptcli.errors import ContextError, InputError, NetworkError, ResourceError
from gptcli.formats import wire
from gptcli.types.batch import Asked, BatchRequest, Ended, Gone, Told
from gptcli.types.chat import ChatForm, ChatRequest, Message
from gptcli.types.completion import Chunk, Request, Usage
from gptcli.types.compute import DRAFTING, REMOTE, Compute
from gptcli.types.few_shot import Example, FewShotQueries, FewShotRequest, Query
from gptcli.types.models import AdapterRef, SteerRef
from gptcli.types.next_tokens import NextTokensRequest, WalkRequest
from gptcli.types.score import ScoreRequest, ScoreRowsRequest
from gptcli.types.served import Busy, Greeting, Over, StatusRequest
from tests.served import Server
from tests.tasks import ended


class Steps(EchoBackend):
    """Answers each Request by numbers, one for each `step` that a test gives."""

    def __init__(self) -> None:
        self.step = threading.Semaphore(0)
        self.given, self.closed, self.over = 0, threading.Event(), threading.Event()

    def answer(self, question: Any) -> Any:
        if isinstance(question, Request) and question.prompt.startswith("steps"):
            return self._steps()
        return super().answer(question)

    def _steps(self) -> Iterator[Chunk]:
        try:
            while not self.over.is_set():
                if not self.step.acquire(timeout=0.05):
                    continue
                self.given += 1
                yield Chunk(str(self.given))
        finally:
            self.closed.set()


@pytest.fixture
def steps() -> Steps:
    return Steps()


@pytest.fixture
def directory() -> Iterator[Path]:
    """Names of sockets have to be short."""
    found = Path(tempfile.mkdtemp(prefix="gptcli-"))
    yield found
    shutil.rmtree(found)


@pytest.fixture
def server(steps: Steps, directory: Path) -> Iterator[Server]:
    found = Server(steps)
    found.open(directory / "s")
    yield found
    steps.over.set()
    found.close()


class Here(EchoBackend):
    """The place that stands in; it says so."""

    def answer(self, question: Any) -> Any:
        if isinstance(question, Request):
            return iter((Chunk("here"),))
        if isinstance(question, FewShotQueries):
            return iter(question.queries)
        return "here"


def backend_at(path: Path, here: Any = Here) -> ServedBackend:
    return ServedBackend(Connection(path), here)


def forbidden() -> Any:
    raise AssertionError("nobody stands in here")


def texts(events: Any) -> list[str]:
    return [each.text for each in events if isinstance(each, Chunk)]


def test_parts_come_as_they_are_made(server, steps, directory):
    """Catches an answer that is held back until it is whole."""
    events = backend_at(directory / "s", forbidden).answer(Request("steps"))
    for number in range(1, 4):
        steps.step.release()
        assert next(events) == Chunk(str(number))
    events.close()


def test_whoever_leaves_is_not_worked_for(server, steps, directory):
    """Catches a server that goes on when its asker was interrupted."""
    events = backend_at(directory / "s", forbidden).answer(Request("steps"))
    steps.step.release()
    next(events)
    events.close()
    for _ in range(50):
        steps.step.release()
        if steps.closed.wait(0.02):
            break
    assert steps.given < 10
    assert server.desk.open == 0


def test_one_connection_takes_one_question_after_the_other(server, directory):
    backend = backend_at(directory / "s", forbidden)
    for _ in range(3):
        assert texts(backend.answer(Request("a b", max_new_tokens=3))) == [" a", " b", " a", ""]
    assert len(server._doors[0]._callers) == 1
    backend.close()


def test_errors_are_those_of_the_answer(server, directory):
    """Catches an error that becomes another class, and with it another exit code."""
    backend = backend_at(directory / "s", forbidden)
    with pytest.raises(InputError, match="prompt: is empty"):
        list(backend.answer(Request("")))
    assert texts(backend.answer(Request("a", max_new_tokens=1))) == [" a", ""]


def test_a_server_that_is_lost_in_an_answer_is_an_error(server, steps, directory):
    """Catches half an answer that looks whole, and one that begins anew after its first words."""
    events = backend_at(directory / "s", forbidden).answer(Request("steps"))
    steps.step.release()
    assert next(events) == Chunk("1")
    server.shut()
    with pytest.raises(
        NetworkError, match=r"server: went away in the middle of an answer$"
    ) as told:
        list(events)
    assert told.value.exit_code == 7


def test_a_server_that_is_gone_before_is_not_missed(server, directory):
    """Catches an error where everything needed is on this machine."""
    backend = backend_at(directory / "s")
    server.shut()
    assert texts(backend.answer(Request("Hi"))) == ["here"]
    assert backend.answer(NextTokensRequest("Hi")) == "here"


def test_a_full_server_is_not_waited_for(steps, directory):
    server = Server(steps)
    server.desk._places = 0
    server.open(directory / "s")
    assert texts(backend_at(directory / "s").answer(Request("Hi"))) == ["here"]
    server.close()


def test_a_bug_of_the_server_is_told_as_one(directory):
    class Broken(EchoBackend):
        def answer(self, question: Any) -> Any:
            if isinstance(question, Request):
                raise ZeroDivisionError
            return super().answer(question)

    server = Server(Broken())
    server.open(directory / "s")
    with pytest.raises(Exception, match="server: failed by a bug") as told:
        list(backend_at(directory / "s", forbidden).answer(Request("Hi")))
    assert told.value.exit_code == 1
    server.close()


def test_questions_that_are_no_business_of_a_servers_are_answered_here(server, directory):
    """Catches a walk that is asked for there, and a file read by another process."""
    backend = backend_at(directory / "s")
    own = ChatRequest((Message("user", "Hi"),), ChatForm(template="mine.jinja"))
    assert backend.answer(WalkRequest(NextTokensRequest("Hi"))) == "here"
    assert "".join(backend.answer(own)) == "here"
    assert server.asked == 0


def few(queries: Any) -> FewShotQueries:
    return FewShotQueries(FewShotRequest((Example("a", "b"),)), queries)


def test_queries_that_have_yet_to_come_are_answered_here_as_they_come(server, directory):
    """Catches a server that waits for somebody to type, and queries that are lost on the way."""
    asked: list[str] = []

    def typed() -> Iterator[Query | None]:
        for text in ("a", None, "b", None, "c"):
            asked.append(str(text))
            yield None if text is None else Query("query", text)

    answers = backend_at(directory / "s").answer(few(typed()))
    assert next(answers) == Query("query", "a") and asked == ["a", "None"]
    assert [each and each.text for each in answers] == [None, "b", None, "c"]
    assert server.asked == 0


def test_an_error_of_the_queries_comes_after_what_was_answered(chat_model, directory):
    server = Server.of(Compute(model=str(chat_model)))
    server.open(directory / "s")
    backend = backend_at(directory / "s", forbidden)

    def broken() -> Iterator[Query]:
        yield Query("line 1", "the cat")
        raise InputError("line 2", "is not UTF-8")

    found = []
    with pytest.raises(InputError, match="line 2"):
        for each in backend.answer(few(broken())):
            found.append(type(each).__name__)
    assert found == ["Answer", "FewShotUsage"]
    server.close()


def test_rows_of_a_text_come_as_they_are_scored(chat_model, directory):
    """Catches a long text of which nothing is told until all is scored, and errors told late."""
    server = Server.of(Compute(model=str(chat_model)))
    server.open(directory / "s")
    backend = backend_at(directory / "s", forbidden)
    rows = backend.answer(ScoreRowsRequest(ScoreRequest("the cat sat on the mat")))
    scored = list(rows.tokens)
    assert rows.totals.scored == len(scored) - rows.totals.unscored > 3
    with pytest.raises(InputError):
        backend.answer(ScoreRowsRequest(ScoreRequest("")))
    with pytest.raises(ContextError, match="more than the context"):
        list(backend.answer(Request("cat " * 600)))
    server.close()


class Prompts:
    """So many questions, all there from the beginning."""

    def __init__(self, *prompts: str) -> None:
        self.left = [Asked(n, Request(each, max_new_tokens=1)) for n, each in enumerate(prompts)]

    def take(self, *, wait: bool, room: bool = True) -> Asked | Gone | None:
        return self.left.pop(0) if room and self.left else None


def test_many_questions_are_with_the_server_at_once(server, steps, directory):
    """Catches a batch that is asked one by one, which the server's engine could do together."""
    told = backend_at(directory / "s", forbidden).answer(BatchRequest(Prompts("steps", "steps")))
    watched = threading.Event()

    def watch() -> None:
        while server.desk.open < 2 and not watched.wait(0.01):
            pass
        steps.step.release(1)

    watcher = threading.Thread(target=watch)
    watcher.start()
    assert isinstance(next(told), Told)
    assert server.desk.open == 2
    watched.set()
    watcher.join()
    told.close()


@pytest.mark.parametrize("runs", [True, False])
def test_each_of_many_is_answered_under_its_key(runs, server, directory):
    """Catches a batch that a server's end takes with it: the rest is answered here."""
    backend = backend_at(directory / "s", forbidden if runs else Here)
    if not runs:
        server.shut()
    told = list(backend.answer(BatchRequest(Prompts("a", "b", "c"))))
    words = {
        each.key: each.part.text
        for each in told
        if isinstance(each, Told) and isinstance(each.part, Chunk) and each.part.text
    }
    assert words == ({0: " a", 1: " b", 2: " c"} if runs else dict.fromkeys(range(3), "here"))
    assert sorted(each.key for each in told if isinstance(each, Ended)) == [0, 1, 2]
    assert not [each for each in told if isinstance(each, Ended) and each.error]


def test_what_others_left_in_memory_is_not_reused_by_a_first_question(directory):
    """Catches JSON that depends on what somebody else has asked before."""
    usage = next(e for e in EchoBackend().answer(Request("a")) if isinstance(e, Usage))

    class Warm(EchoBackend):
        def answer(self, question: Any) -> Any:
            if isinstance(question, BatchRequest):
                return super().answer(question)
            return iter((Chunk("a"), replace(usage, reused_tokens=7)))

    server = Server(Warm())
    server.open(directory / "s")
    backend = backend_at(directory / "s", forbidden)
    chat = ChatRequest((Message("user", "Hi"),))
    said = [list(backend.answer(each))[-1] for each in (chat, chat, Request("a"))]
    assert [each.reused_tokens for each in said] == [0, 7, 0]
    server.close()


class Listener:
    """Something else at the socket: says what it is told to, to each who comes."""

    def __init__(self, path: Path, *said: bytes, stays: bool = False) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(os.fspath(path))
        self._socket.listen()
        self._said, self._stays, self._held = said, stays, []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                found, _ = self._socket.accept()
            except OSError:
                return
            for each in self._said:
                found.sendall(each)
            self._held.append(found)
            if not self._stays:
                found.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self._socket.close()
        for each in self._held:
            each.close()


HELLO = wire.line(Greeting(()))


@pytest.mark.parametrize(
    "said",
    [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\xff\xfe\n", wire.line(Over()), HELLO[:-1]],
    ids=["nothing", "http", "bytes", "another", "cut"],
)
def test_what_does_not_greet_is_no_server(said, directory):
    listener = Listener(directory / "s", said)
    with pytest.raises(GoneError):
        Connection(directory / "s")
    listener.close()


def test_a_server_that_hangs_is_not_waited_for_long(directory, monkeypatch):
    """Catches commands that wait for a process that was stopped."""
    monkeypatch.setattr(connection, "GREETS", 0.1)
    listener = Listener(directory / "s", stays=True)
    with pytest.raises(GoneError, match="timed out"):
        Connection(directory / "s")
    listener.close()
    listener = Listener(directory / "t", HELLO, wire.line(Chunk("a")), stays=True)
    monkeypatch.setattr(connection, "SILENT", 0.1)
    events = backend_at(directory / "t", forbidden).answer(Request("Hi"))
    assert next(events) == Chunk("a")
    with pytest.raises(NetworkError, match="said nothing for 0 seconds in the middle"):
        next(events)
    listener.close()


@pytest.mark.parametrize(
    "said", [b"{}\n", b'{"a": "\x1b[2J"}\n', b"x" * 1000], ids=["empty", "escape", "cut"]
)
def test_lines_that_are_none_of_ours_end_an_answer(said, directory):
    listener = Listener(directory / "s", HELLO, wire.line(Chunk("a")), said)
    events = backend_at(directory / "s", forbidden).answer(Request("Hi"))
    assert next(events) == Chunk("a")
    with pytest.raises(NetworkError, match=r"^server: .* in the middle of an answer$") as told:
        next(events)
    assert "\x1b" not in str(told.value)
    listener.close()


def test_signs_of_life_are_no_part_of_an_answer(directory):
    lines = (HELLO, b"\n\n", wire.line(Chunk("a")), b"\n", wire.line(Over()))
    listener = Listener(directory / "s", *lines)
    assert list(backend_at(directory / "s", forbidden).answer(Request("Hi"))) == [Chunk("a")]
    listener.close()


def test_another_user_is_not_spoken_to(server, directory, monkeypatch):
    """Catches a socket that somebody else put there, and one that somebody else comes to."""
    monkeypatch.setattr(connection, "other", lambda _: os.geteuid() + 1)
    with pytest.raises(GoneError, match="somebody else"):
        Connection(directory / "s")
    monkeypatch.undo()
    monkeypatch.setattr("gptcli.server.door.other", lambda _: os.geteuid() + 1)
    with pytest.raises(GoneError, match="went away"):
        Connection(directory / "s")


def test_a_socket_is_its_owners_alone(server, directory):
    assert stat.S_IMODE((directory / "s").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "line",
    [
        b"GET / HTTP/1.1\r\n",
        b"{}\n",
        b'{"os.system": ["true"]}\n',
        wire.line(Chunk("a")),
        b"\xff\n",
    ],
    ids=["http", "empty", "class", "no question", "bytes"],
)
def test_a_stranger_at_the_door_is_told_off_and_nobody_else_is_hurt(line, server, directory):
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.connect(os.fspath(directory / "s"))
        stranger.settimeout(5)
        said = stranger.makefile("rb")
        assert wire.value(said.readline()) == Greeting(())
        stranger.sendall(line)
        assert isinstance(wire.value(said.readline()), Busy)
        said.close()
    backend = backend_at(directory / "s", forbidden)
    assert texts(backend.answer(Request("a", max_new_tokens=1))) == [" a", ""]


def test_more_callers_than_places_do_without(server, directory, monkeypatch):
    monkeypatch.setattr("gptcli.server.door._CALLERS", 2)
    held = [Connection(directory / "s") for _ in range(2)]
    with pytest.raises(GoneError):
        Connection(directory / "s")
    for each in held:
        each.close()
    until = time.monotonic() + 5
    while server._doors[0]._callers and time.monotonic() < until:
        time.sleep(0.01)
    Connection(directory / "s").close()


def test_a_server_tells_how_it_is(server, directory):
    asked = Connection(directory / "s")
    assert next(asked.ask(StatusRequest())).model == "tiny"
    assert server.asked == 0
    asked.close()


@pytest.fixture
def runtime(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(directory))
    return directory


def test_a_directory_that_others_can_enter_is_not_used(runtime):
    """Catches a socket that somebody else may have put where we look."""
    assert place.socket_of(Compute()) is None
    made = place.make(Compute())
    assert place.socket_of(Compute()) == made
    assert stat.S_IMODE(made.parent.stat().st_mode) == 0o700
    made.parent.chmod(0o750)
    assert place.socket_of(Compute()) is None and place.sockets() == []
    with pytest.raises(ResourceError, match="yours alone"):
        place.make(Compute())
    made.parent.rmdir()
    (runtime / "elsewhere").mkdir(mode=0o700)
    made.parent.symlink_to(runtime / "elsewhere")
    assert place.socket_of(Compute()) is None


def test_a_name_too_long_for_a_socket_is_told(runtime, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime / ("a" * 100)))
    with pytest.raises(ResourceError, match="too long"):
        place.make(Compute())


OTHER = {
    "model": "gpt2",
    "adapter": (AdapterRef(Path("/a")),),
    "adapter_apart": True,
    "steer": (SteerRef(Path("/a")),),
    "device": "cpu",
    "dtype": "int8",
    "calibration": Path("/text"),
    "threads": 1,
    "activations": "float32",
    "exact_activations": False,
    "cpu_features": "avx2",
    "ctx_size": 10,
    "kv_dtype": "int8",
}


def test_every_setting_has_a_server_of_its_own(monkeypatch, tmp_path):
    """Catches a setting that is forgotten: another one's answers would be given."""
    other = {*DRAFTING, "no_server", "by_hand", *REMOTE}
    assert {each.name for each in fields(Compute)} - other == {*OTHER}
    names = [place.name_of(Compute(**{name: value})) for name, value in OTHER.items()]
    names.append(place.name_of(Compute()))
    names.append(place.name_of(replace(Compute(), adapter=(AdapterRef(Path("/a"), 2.0),))))
    names.append(place.name_of(replace(Compute(), steer=(SteerRef(Path("/a"), last=2),))))
    monkeypatch.setattr("gptcli.__version__", "0.0.0")
    names.append(place.name_of(Compute()))
    monkeypatch.undo()
    monkeypatch.setenv("GPTCLI_DATA_DIR", str(tmp_path))
    names.append(place.name_of(Compute()))
    assert len({*names}) == len(names)


def test_two_ways_to_say_a_setting_have_one_server():
    said = Compute(activations="float32"), Compute(exact_activations=True)
    assert place.name_of(said[0]) == place.name_of(said[1])
    for same in (Compute(no_server=True), Compute(speculate="off")):
        assert place.name_of(same) == place.name_of(Compute())


def test_a_name_that_means_a_file_means_it_here(tmp_path, monkeypatch):
    """Catches a directory of the same name that is taken for another one's."""
    (tmp_path / "a" / "m").mkdir(parents=True)
    (tmp_path / "b" / "m").mkdir(parents=True)
    found = {}
    for name in ("m", "gpt2", "org/name", "./m"):
        for where in ("a", "b"):
            monkeypatch.chdir(tmp_path / where)
            found[name, where] = place.name_of(Compute(model=name))
    assert found["m", "a"] != found["m", "b"] and found["./m", "a"] != found["./m", "b"]
    assert found["gpt2", "a"] == found["gpt2", "b"]
    assert found["org/name", "a"] == found["org/name", "b"]
    adapter = Compute(adapter=(AdapterRef(Path("x")),))
    one = place.name_of(adapter)
    monkeypatch.chdir(tmp_path)
    assert place.name_of(adapter) != one


def test_a_model_that_was_changed_is_not_the_servers(tiny_model, tmp_path, runtime):
    """Catches answers of weights that are not on the disk any more."""
    model = tmp_path / "m"
    shutil.copytree(tiny_model, model)
    compute = Compute(model=str(model))
    backend, greeting = ended(offered(compute))
    server = Server(backend, greeting)
    server.open(place.make(compute))
    found = served_room.find(compute, forbidden)
    assert found is not None
    found.close()
    said = model / "config.json"
    said.write_bytes(said.read_bytes())
    assert served_room.find(compute, forbidden) is None
    server.close()


@pytest.mark.parametrize("change", ["written", "gone", "added", "another"])
def test_what_it_stands_on_is_watched(change, tmp_path):
    (tmp_path / "m").mkdir()
    file = tmp_path / "m" / "weights"
    file.write_text("a")
    greeting = Greeting(states_of([tmp_path / "m", tmp_path / "not there"]))
    assert still_stands("m", greeting)
    before = file.stat()
    if change == "written":
        file.write_text("b")
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    elif change == "gone":
        file.unlink()
    elif change == "added":
        (tmp_path / "m" / "tokenizer").write_text("")
    else:
        (tmp_path / "not there").write_text("")
    assert not still_stands("m", greeting)
    assert state_of(tmp_path / "nowhere").state is None

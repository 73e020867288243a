"""Many questions of a server at once: bounded, each as if alone, and nobody waits for the gone."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections import deque

import pytest

from gptcli.backends.place import place_of
from gptcli.backends.remote import RemoteBackend
from gptcli.errors import InputError, NetworkError
from gptcli.types.batch import Asked, BatchRequest, Ended, Gone, Told
from gptcli.types.completion import Chunk, Request, Usage
from gptcli.types.compute import Compute
from gptcli.types.few_shot import Example, FewShotQueries, FewShotRequest, Query
from tests.backends.remote.serving import DONE, GOOD, MODELS, as_json, choice, serving, stream
from tests.cli.helpers import run


class Listed:
    """What is to come; a number is a wait of that many looks."""

    def __init__(self, *coming):
        self._coming = deque(coming)

    def take(self, *, wait, room=True):
        if not room and self._coming and isinstance(self._coming[0], Asked):
            return None
        while self._coming and isinstance(self._coming[0], int):
            left = self._coming.popleft() - 1
            if left and not wait:
                self._coming.appendleft(left)
                return None
        return self._coming.popleft() if self._coming else None


class Crowd:
    """A server that says the prompt twice, slowly, and counts how many it is talking to."""

    def __init__(self, seconds=0.03):
        self.seconds, self.now, self.most = seconds, 0, 0
        self._lock = threading.Lock()

    def __call__(self, asked):
        if asked.method == "GET":
            return MODELS
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(self.seconds)
        with self._lock:
            self.now -= 1
        prompt = asked.body["prompt"]
        if prompt == "bad":
            return as_json({"error": {"message": "bad prompt"}}, 400)
        return stream(choice(prompt), choice(prompt, "stop"), DONE)


def backend(url):
    return RemoteBackend(place_of(Compute(model="m", base_url=url, by_hand=frozenset({"model"}))))


def texts(told):
    found = {}
    for each in told:
        if isinstance(each, Told) and isinstance(each.part, Chunk):
            found[each.key] = found.get(each.key, "") + each.part.text
    return found


def test_each_is_answered_and_no_more_at_once_than_allowed():
    """Catches a crowd at the server's door, a queue of one, and an answer under another's key."""
    crowd = Crowd()
    coming = [Asked(key, Request(f"<{key}>")) for key in range(20)]
    with serving(crowd) as served:
        told = list(backend(served.url).answer(BatchRequest(Listed(*coming, 3, 2), most=4)))
        assert 2 <= crowd.most <= 4
        alone = list(backend(served.url).answer(Request("<7>")))
    assert texts(told) == {key: f"<{key}><{key}>" for key in range(20)}
    assert sorted(each.key for each in told if isinstance(each, Ended)) == list(range(20))
    seventh = [each.part for each in told if isinstance(each, Told) and each.key == 7]
    assert seventh[:-1] == alone[:-1]
    assert isinstance(seventh[-1], Usage)
    # A list of models for each backend, whatever the threads.
    assert [each.method for each in served.asked].count("GET") == 2


def test_an_error_ends_its_own_answer_only():
    """Catches a bad row that takes the others with it."""
    coming = [Asked(key, Request(text)) for key, text in enumerate(("a", "bad", "c"))]
    with serving(Crowd()) as served:
        told = list(backend(served.url).answer(BatchRequest(Listed(*coming))))
    errors = {each.key: each.error for each in told if isinstance(each, Ended)}
    assert isinstance(errors.pop(1), NetworkError)
    assert errors == {0: None, 2: None}
    assert texts(told) == {0: "aa", 2: "cc"}


def test_who_left_is_told_nothing_more():
    """Catches work that goes on for nobody, and a batch that waits for it."""
    going = threading.Event()

    def answer(asked):
        if asked.method == "GET":
            return MODELS
        if asked.body["prompt"] == "long":
            going.set()
            return stream(*[choice("x")] * 1000, pause=0.02)
        return GOOD

    class Leaving(Listed):
        def take(self, *, wait, room=True):
            ready = wait or going.is_set() or self._coming
            return super().take(wait=wait, room=room) if ready else None

    coming = [Asked(1, Request("long")), Asked(2, Request("short")), 9, Gone(1)]
    coming += [Asked(3, Request("short"))]
    with serving(answer) as served:
        begun = time.perf_counter()
        told = list(backend(served.url).answer(BatchRequest(Listed(*coming), most=2)))
    assert time.perf_counter() - begun < 5
    assert {each.key for each in told if isinstance(each, Ended)} == {2, 3}
    assert {key: text for key, text in texts(told).items() if key != 1} == {2: "ab", 3: "ab"}


def test_what_is_no_longer_asked_for_is_hung_up_on():
    """Catches threads that go on reading once a batch is closed."""
    crowd = stream(*[choice("x")] * 1000, pause=0.02)
    with serving(lambda a: MODELS if a.method == "GET" else crowd) as served:
        coming = [Asked(key, Request("a")) for key in range(3)]
        told = backend(served.url).answer(BatchRequest(Listed(*coming)))
        next(told)
        told.close()
        for _ in range(100):
            names = [each.name for each in threading.enumerate() if "_work" in each.name]
            if not names:
                break
            time.sleep(0.02)
    assert not names


def test_few_shot_keeps_the_order_of_its_queries():
    """Catches answers in the order in which a server gives them, and an error that hides those
    before it.
    """

    def answer(asked):
        if asked.method == "GET":
            return MODELS
        prompt = asked.body["prompt"]
        number = int(prompt.rpartition("Input: ")[2].partition("\n")[0])
        time.sleep(0.02 * (5 - number))
        if number == 4:
            return as_json({"error": {"message": "no"}}, 400)
        return stream(choice(f" {number * number}", "stop"), DONE)

    request = FewShotRequest((Example("7", "49"), Example("8", "64")))
    queries = [*(Query("q", str(n)) for n in range(6)), None]
    answers = []
    with serving(answer) as served, pytest.raises(NetworkError, match=r"refuses this \(400\): no"):
        for event in backend(served.url).answer(FewShotQueries(request, queries)):
            answers.append(event)
    assert [each.text for each in answers[:-1]] == ["0", "1", "4", "9"]
    assert answers[-1].queries == 4


def test_an_error_among_the_queries_comes_last():
    """Catches answers that are lost because a later row is broken."""

    def queries():
        yield Query("q", "1")
        raise InputError("rows", "broken")

    request = FewShotRequest((Example("7", "49"),))
    told = []
    with serving(Crowd()) as served, pytest.raises(InputError, match="broken"):
        for event in backend(served.url).answer(FewShotQueries(request, queries())):
            told.append(event)
    assert len(told) == 2


@pytest.mark.slow
def test_ctrl_c_ends_at_once():
    """Catches a process that waits for its server."""
    said = stream(*[choice("ab")] * 100, pause=0.3)
    with serving(lambda a: MODELS if a.method == "GET" else said) as served:
        argv = [sys.executable, "-m", "gptcli", "complete", "--base-url", served.url, "hi"]
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout is not None
        first = process.stdout.read(2)
        process.send_signal(signal.SIGINT)
        begun = time.perf_counter()
        _, err = process.communicate(timeout=20)
    assert time.perf_counter() - begun < 2
    assert first == b"ab"
    assert process.returncode == -signal.SIGINT
    assert b"Traceback" not in err


def test_stats_tell_what_is_charged():
    """Catches costs that are not shown: tokens from a cache, and those of thought."""
    took = {
        "prompt_tokens": 12,
        "completion_tokens": 9,
        "prompt_tokens_details": {"cached_tokens": 8},
        "completion_tokens_details": {"reasoning_tokens": 5},
    }
    said = stream(choice("a", "stop"), {"choices": [], "usage": took}, DONE)
    with serving(lambda a: MODELS if a.method == "GET" else said) as served:
        done = run("complete", "--base-url", served.url, "--stats", "--json", "hi")
    assert "prompt: 12 tokens (8 of them reused)" in done.err
    assert "generated: 9 tokens (5 of them thought)" in done.err
    assert f"model: m (vLLM at {served.url})" in done.err
    assert '"reasoning_tokens": 5' in done.text
    assert '"cached_tokens": 8' in done.text


def test_rows_of_a_file(tmp_path, monkeypatch):
    """Catches rows that are asked twice after a resumption, and a key that is kept beside them."""
    key = "sk-secret-0123456789"
    monkeypatch.setenv("OPENAI_API_KEY", key)
    rows, out, file = tmp_path / "rows.txt", tmp_path / "out.jsonl", tmp_path / "key"
    rows.write_text("a\nb\nc\n")
    file.write_text(key)
    with serving(Crowd()) as served:
        argv = ("complete", "--base-url", served.url, "--batch", str(rows), "-o", str(out))
        done = run(*argv, "--seed", "1", "--api-key-file", str(file))
        assert done.code == 0, done.err
        assert len(served.posted()) == 3
        found = [json.loads(line)["choices"][0]["text"] for line in out.read_text().splitlines()]
        assert found == ["aa", "bb", "cc"]
        again = run(*argv, "--seed", "1", "--resume")
        assert again.code == 0, again.err
        assert len(served.posted()) == 3
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and path != file]
    assert not [path for path in kept if key.encode() in path.read_bytes()]

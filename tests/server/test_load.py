"""Many clients at once, some of whom leave or talk nonsense: everybody gets what is theirs."""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gptcli.backends.local import LocalBackend
from gptcli.types.chat import ChatRequest, Message
from gptcli.types.completion import Chunk, Request
from gptcli.types.sampling import SamplingWish
from tests.server.clients import CHAT, COMPLETIONS, local, say
from tests.server.processes import Served, serving

CLIENTS = 32
#: Of a hundred requests.
VANISHING, MALFORMED = 20, 5
#: Of both kinds, each with a seed of its own.
KINDS = 24
MALFORMED_BODIES = (
    b"",
    b"{",
    b'{"prompt": 5}',
    b'{"prompt": "a", "temperature": "hot"}',
    b'{"prompt": "a", "no_such_field": 1}',
    b'{"messages": [{"role": "nobody"}]}',
    b'{"prompt": "' + b"the cat " * 6000 + b'"}',
    b"\xff\xfe",
    b"[" * 5000,
)


@dataclass(frozen=True)
class Wanted:
    """A request, and the answer that it has alone."""

    path: str
    body: dict[str, Any]
    text: str


@dataclass
class Seen:
    """What all clients saw."""

    statuses: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    left: int = 0


def wanted(backend: LocalBackend) -> list[Wanted]:
    found = []
    for number in range(KINDS):
        seed, limit = 1000 + number, 5 + 7 * (number % 8)
        wish = SamplingWish(temperature=0.9, seed=seed)
        prompt = f"the cat {'sat on the mat ' * (number % 5)}and dog {number}"
        body = {"seed": seed, "temperature": 0.9, "max_tokens": limit, "stream": number % 3 != 0}
        if number % 2:
            asked: Any = ChatRequest(
                (Message("user", prompt),), sampling=wish, max_new_tokens=limit, seed=seed
            )
            path, body["messages"] = CHAT, say(prompt)
        else:
            asked = Request(prompt, sampling=wish, max_new_tokens=limit, seed=seed)
            path, body["prompt"] = COMPLETIONS, prompt
        texts = [event.text for event in backend.answer(asked) if isinstance(event, Chunk)]
        found.append(Wanted(path, body, "".join(texts)))
    assert len({each.text for each in found}) > KINDS // 2
    return found


def client(
    server: Served, requests: list[Wanted], seen: Seen, seed: int, end: threading.Event
) -> None:
    """One client, until the end."""
    chance, lock = random.Random(seed), threading.Lock()
    while not end.is_set():
        wire = http.client.HTTPConnection("127.0.0.1", server.port, timeout=100)
        try:
            kind = chance.randrange(100)
            if kind < MALFORMED:
                path = chance.choice((CHAT, COMPLETIONS))
                wire.request("POST", path, chance.choice(MALFORMED_BODIES))
                response = wire.getresponse()
                told = json.loads(response.read())["error"]
                if response.status != 503 and not (400 <= response.status < 500 and told):
                    seen.wrong.append(f"malformed: {response.status}")
            else:
                each = chance.choice(requests)
                wire.request("POST", each.path, json.dumps(each.body))
                if kind < MALFORMED + VANISHING:
                    time.sleep(chance.random() * 0.3)
                    seen.left += 1
                    continue
                response = wire.getresponse()
                text = told_by(response, each)
                if response.status == 200 and text != each.text:
                    seen.wrong.append(f"{each.text!r} became {text!r}")
                if response.status == 503 and not response.headers["retry-after"]:
                    seen.wrong.append("a 503 without Retry-After")
            with lock:
                seen.statuses[response.status] += 1
            if response.status == 503:
                time.sleep(0.1)
        except Exception as error:
            seen.wrong.append(f"{type(error).__name__}: {error}")
        finally:
            wire.close()


def told_by(response: http.client.HTTPResponse, each: Wanted) -> str:
    data = response.read().decode()
    if response.status != 200:
        return ""
    if not each.body["stream"]:
        (choice,) = json.loads(data)["choices"]
        return choice["text"] if each.path == COMPLETIONS else choice["message"]["content"]
    events = [line.removeprefix("data: ") for line in data.split("\n") if line.startswith("data: ")]
    assert events.pop() == "[DONE]"
    (choices) = [json.loads(event)["choices"][0] for event in events]
    if each.path == COMPLETIONS:
        return "".join(choice["text"] for choice in choices)
    return "".join(choice["delta"].get("content", "") for choice in choices)


def resident(server: Served) -> int:
    """Bytes of memory."""
    text = Path(f"/proc/{server.process.pid}/status").read_text()
    (line,) = (line for line in text.splitlines() if line.startswith("VmRSS:"))
    return 1024 * int(line.split()[1])


def load(model: str, seconds: float, log: Path) -> tuple[Seen, int, int]:
    """What the clients saw, and the memory after a third of the time and at the end."""
    requests, seen, end = wanted(local(Path(model))), Seen(), threading.Event()
    with serving(log, "--queue", "24", model=model) as server:
        threads = [
            threading.Thread(target=client, args=(server, requests, seen, seed, end))
            for seed in range(CLIENTS)
        ]
        for thread in threads:
            thread.start()
        time.sleep(seconds / 3)
        before = resident(server)
        time.sleep(seconds * 2 / 3)
        end.set()
        for thread in threads:
            thread.join(120)
        after = resident(server)
        # Who left was let go of.
        deadline = time.monotonic() + 10
        while server.metric("gptcli_open_questions") and time.monotonic() < deadline:
            time.sleep(0.05)
        assert server.metric("gptcli_open_questions") == 0
        assert not [line for line in server.lines if "bug" in line or "Exception" in line]
    return seen, before, after


def check(seen: Seen) -> None:
    assert not seen.wrong, seen.wrong[:5]
    assert {status for status in seen.statuses if status >= 500} <= {503}
    assert seen.statuses[200] and seen.statuses[400] and seen.left


@pytest.mark.slow
def test_many_clients_get_their_own_answers(chat_model, tmp_path):
    """Catches answers that depend on their neighbours, or go to another client."""
    seen, _, _ = load(str(chat_model), 1.5, tmp_path / "log")
    check(seen)


@pytest.mark.faults
@pytest.mark.parametrize("model", ["tiny", "default"])
def test_many_clients_for_two_minutes(model, chat_model, default_model, tmp_path):
    """Catches the same, seldom, and memory that grows with the requests."""
    directory = chat_model if model == "tiny" else default_model
    seen, before, after = load(str(directory), 120, tmp_path / "log")
    check(seen)
    print(f"{model}: {dict(seen.statuses)}, {seen.left} left, {before} and {after} bytes")
    assert seen.statuses.total() > 300
    assert after < 1.05 * before + (16 << 20)

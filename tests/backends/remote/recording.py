"""Exchanges with real servers, recorded once and replayed.

    python -m tests.backends.remote.recording vllm http://127.0.0.1:8000 "vLLM 0.32.0 …"

runs every case of CASES through a proxy and keeps what was said, and what gptcli printed then, in
recorded/NAME.json. The servers served SmolLM2-135M-Instruct in float32 as `smollm2-f32`.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.backends.remote.serving import Asked, Said, Served, serving
from tests.cli.helpers import Done, run

PLACE = Path(__file__).with_name("recorded")
_START = "The capital of France is"
_MIXED = "Hi 日本 x"
#: A name, the command line, and what comes from stdin.
CASES: dict[str, tuple[tuple[str, ...], bytes]] = {
    "models": (("models", "list", "--json"), b""),
    "complete": (("complete", "-n", "5", "--temp", "0", "--seed", "1", _START), b""),
    "complete-json": (
        (
            *("complete", "-n", "3", "--temp", "0", "--seed", "1", "--json", "--logprobs", "2"),
            _START,
        ),
        b"",
    ),
    "complete-samples": (
        (
            *("complete", "-n", "3", "--temp", "1.5", "--top-k", "40", "--min-p", "0.02"),
            *("--repeat-penalty", "1.1", "--samples", "2", "--seed", "3", "--json", _START),
        ),
        b"",
    ),
    "complete-stop": (
        ("complete", "-n", "20", "--temp", "0", "--seed", "1", "--stop", ".", _START),
        b"",
    ),
    "complete-bias": (
        (
            *("complete", "-n", "2", "--temp", "0", "--seed", "1", "--logit-bias", " Paris=-inf"),
            _START,
        ),
        b"",
    ),
    "complete-too-long": (("complete", "-n", "100000", "--temp", "0", "--seed", "1", _START), b""),
    "no-such-model": (("complete", "-m", "nobody", "--seed", "1", _START), b""),
    "chat": (("chat", "-n", "12", "--temp", "0", "--seed", "1", "Hi"), b""),
    "chat-json": (
        (
            *("chat", "-n", "4", "--temp", "0", "--seed", "1", "--json", "--logprobs", "2"),
            *("-s", "Be brief.", "Name a colour."),
        ),
        b"",
    ),
    "few-shot": (
        ("few-shot", "--preset", "translate", "--shots", "3", "--seed", "1"),
        b"The sea is blue.\nI have a dog.\n",
    ),
    "few-shot-chat": (
        (
            *("few-shot", "--preset", "translate", "--shots", "3", "--as-chat", "--seed", "1"),
            "I have a dog.",
        ),
        b"",
    ),
    "few-shot-labels": (
        (
            *("few-shot", "--preset", "sentiment", "--shots", "2", "--calibrate", "--seed", "1"),
            "--json",
            "I lost my luggage.",
        ),
        b"",
    ),
    "top-k": (("top-k", "-k", "4", "--json", _START), b""),
    "tree": (("tree", "--depth", "2", "--width", "2", "--json", _START), b""),
    "choose": (
        (
            *("choose", _START, "--choice", " Rome", "--choice", " Paris"),
            *("--calibrate", "N/A", "--json"),
        ),
        b"",
    ),
    "score": (("score", "--json", f"{_START} Paris 日本."), b""),
    "score-context": (
        ("score", "--totals", "--json", "--context", "The capital of Fran", "ce is Paris."),
        b"",
    ),
    "tokens": (("tokens", "--json", _MIXED), b""),
    "tokens-decode": (("tokens", "--decode", "26843,17097,241,115,40993,1792"), b""),
}


def ran(case: str, served: Served) -> dict[str, Any]:
    """What a case prints, the server's address aside."""
    argv, stdin = CASES[case]
    command = argv[: 2 if argv[0] == "models" else 1]
    rest = argv[len(command) :]
    done = run(*command, "--base-url", served.url, *rest, stdin=stdin)
    return _shown(done, served.url)


def _shown(done: Done, url: str) -> dict[str, Any]:
    return {
        "code": done.code,
        "out": done.text.replace(url, "URL"),
        "err": done.err.replace(url, "URL"),
    }


def replaying(name: str) -> tuple[Callable[[Asked], Said], dict[str, Any]]:
    """A server that says what was recorded, and what was printed then."""
    recorded = json.loads((PLACE / f"{name}.json").read_text("utf-8"))
    known = {_key(each["asked"]): each["said"] for each in recorded["exchanges"]}

    def answer(asked: Asked) -> Said:
        said = known.get(_key([asked.method, asked.path, asked.body]))
        if said is None:
            text = f"never recorded: {asked.method} {asked.path} {json.dumps(asked.body)}"
            return Said([text.encode()], 418, kind="text/plain", length=len(text.encode()))
        data = said["text"].encode()
        return Said([data], said["status"], kind=said["kind"], length=len(data))

    return answer, recorded["printed"]


def _key(asked: Any) -> str:
    return json.dumps(asked, sort_keys=True)


def record(name: str, root: str, about: str) -> None:
    """Run every case against a real server and keep it all."""
    exchanges: dict[str, Any] = {}

    def answer(asked: Asked) -> Said:
        data = None if asked.body is None else json.dumps(asked.body).encode()
        kept = {"Content-Type": "application/json"} if data else {}
        request = urllib.request.Request(root + asked.path, data, kept, method=asked.method)
        try:
            with urllib.request.urlopen(request) as reply:
                status, kind, text = reply.status, reply.headers["content-type"], reply.read()
        except urllib.error.HTTPError as error:
            status, kind, text = error.code, error.headers["content-type"], error.read()
        said = {"status": status, "kind": kind, "text": _without_paths(text.decode())}
        key = [asked.method, asked.path, asked.body]
        # Lists of models tell the time: what was printed is of the first.
        exchanges.setdefault(_key(key), {"asked": key, "said": said})
        return Said([text], status, kind=kind, length=len(text))

    with serving(answer) as served:
        printed = {case: ran(case, served) for case in CASES}
    for case, done in printed.items():
        print(case, done["code"], done["out"][:200], done["err"], sep="\n", file=sys.stderr)
    whole = {"about": about, "exchanges": list(exchanges.values()), "printed": printed}
    text = json.dumps(whole, ensure_ascii=False, indent=0)
    (PLACE / f"{name}.json").write_text(f"{text}\n", encoding="utf-8")


def _without_paths(text: str) -> str:
    """Where a server has its model is nobody's business."""
    try:
        found = json.loads(text)
    except ValueError:
        return text
    for each in found.get("data", []) if isinstance(found, dict) else []:
        each.pop("root", None)
        each.pop("permission", None)
    return json.dumps(found, ensure_ascii=False)


if __name__ == "__main__":
    os.environ["OPENAI_API_KEY"] = ""
    record(*sys.argv[1:])

"""Which server is asked, for which model, with which key; and that nothing goes anywhere else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gptcli.backends.place import place_of
from gptcli.errors import InputError, UsageError
from gptcli.types.compute import Compute
from gptcli.types.secret import Secret
from tests.backends.remote.serving import (
    DONE,
    GOOD,
    MODELS,
    as_json,
    choice,
    replying,
    serving,
    stream,
)
from tests.cli.helpers import run

KEY = "sk-secret-0123456789"


def settings(text: str) -> Path:
    file = Path(os.environ["XDG_CONFIG_HOME"]) / "gptcli" / "config.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def place(model="m", **more):
    by_hand = frozenset({"model", *more})
    return place_of(Compute(model=model, by_hand=by_hand, **more))


def test_a_local_model_stays_local(monkeypatch):
    """Catches prompts that go away because other tools' variables are set."""
    with serving(replying(GOOD)) as served:
        monkeypatch.setenv("OPENAI_BASE_URL", served.url)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        assert place("smollm2") is None
        assert place("openai/gpt-oss-20b") is None
        done = run("complete", "-m", "echo", "-n", "1", "the cat")
        assert (done.code, done.text) == (0, " the")
        assert not served.asked


def test_openai_by_its_name(monkeypatch):
    """Catches a variable that is not heeded where it is asked for, and one that is everywhere."""
    assert place(base_url="openai").url == "https://api.openai.com/v1"
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:4/v1/")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert place(base_url="openai").url == "http://127.0.0.1:4/v1"
    assert place(base_url="http://127.0.0.1:5/v1").url == "http://127.0.0.1:5/v1"
    assert place(base_url="http://127.0.0.1:5/v1").key.reveal() == KEY
    monkeypatch.setenv("OPENAI_BASE_URL", "http://me:secret@host/v1")
    with pytest.raises(UsageError) as caught:
        place(base_url="openai")
    assert "secret" not in str(caught.value)


def test_endpoints(tmp_path, monkeypatch):
    """Catches one endpoint's key that goes to another, and names that are not found."""
    (tmp_path / "key").write_text(f"{KEY}\nmore\n")
    settings(
        f"""
        [endpoint.work]
        base-url = "https://llm.example.org/v1/"
        api-key-file = "{tmp_path / "key"}"
        model = "llama"
        timeout = 5
        retries = 0
        concurrency = 3
        [endpoint.near]
        base-url = "http://127.0.0.1:8000/v1"
        """
    )
    monkeypatch.setenv("OPENAI_API_KEY", "sk-another")
    found = place("work/meta/llama-3")
    assert (found.url, found.model, found.name) == (
        "https://llm.example.org/v1",
        "meta/llama-3",
        "work/meta/llama-3",
    )
    assert found.key.reveal() == KEY
    assert (found.timeout, found.retries, found.concurrency) == (5, 0, 3)
    assert place("work").model == "llama"
    assert place("near/x").key is None
    assert place(base_url="work", model="q").model == "q"
    assert place("work/x", timeout=9.0).timeout == 9
    assert place("elsewhere/x") is None
    with pytest.raises(UsageError, match="near names no model"):
        place("near")
    with pytest.raises(UsageError, match=r"--base-url: wrk is neither .* near, openai, work"):
        place(base_url="wrk")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[endpoint.a]\nmodel = 'x'", "endpoint.a: needs a base-url"),
        ("[endpoint.a]\nbase-url = 'ftp://x'", "endpoint.a: base-url: must be a URL"),
        ("[endpoint.a]\nbase-url = 'http://u:p@x'", "must hold no user, password or query"),
        ("[endpoint.a]\nbase-url = 'http://x'\napi-key = 'k'", "'api-key' is not a setting"),
        ("[endpoint.a]\nbase-url = 'http://x'\ntimeout = 0", "timeout: must be seconds"),
        ("[endpoint.a]\nbase-url = 'http://x'\nretries = true", "retries: must be a whole"),
        (
            "[endpoint.a]\nbase-url = 'http://x'\napi-key-env = 'A'\napi-key-file = 'b'",
            "exclude each other",
        ),
        ("endpoint = 3", "endpoint: must be tables"),
        ("[endpoint]\na = 3", "endpoint.a: must be a table"),
    ],
)
def test_tables_that_cannot_be(text, reason):
    """Catches a misspelled setting that is passed over."""
    settings(text)
    done = run("complete", "hi")
    assert done.code == 2
    assert reason in done.err and done.err.count("\n") == 1


@pytest.mark.parametrize("data", [b"", b"two words\n", b"\xff\xfe", b"x" * 70_000, b"caf\xc3\xa9"])
def test_files_that_hold_no_key(data, tmp_path):
    """Catches a key that would break a header, and a file that is shown in the error."""
    file = tmp_path / "key"
    file.write_bytes(data)
    done = run("complete", "--base-url", "http://127.0.0.1:9", "--api-key-file", str(file), "hi")
    assert done.code == 4
    assert f"{file}: holds no key" in done.err
    assert "words" not in done.err and "caf" not in done.err
    with pytest.raises(InputError):
        Secret.read(tmp_path / "none")


def test_the_key_on_its_way(tmp_path, monkeypatch):
    """Catches a key that does not come, or that is seen by whoever prints something."""
    file = tmp_path / "key"
    file.write_text(KEY)
    with serving(replying(GOOD)) as served:
        argv = ("complete", "--base-url", served.url, "-m", "m", "--json")
        for more, stdin in ((("--api-key-file", str(file)), b""), (("--api-key-file", "-"), KEY)):
            typed = stdin.encode() if isinstance(stdin, str) else stdin
            done = run(*argv, *more, "hi", stdin=typed)
            assert done.code == 0, done.err
            assert KEY not in done.text + done.err
        assert run(*argv, "hi").code == 0
    keys = [each.headers.get("authorization") for each in served.asked]
    assert keys == [f"Bearer {KEY}"] * 4 + [None] * 2
    assert KEY not in repr(Secret(KEY)) + str(Secret(KEY)) + repr(Compute(api_key_file=Secret(KEY)))


def test_stdin_is_the_key_and_no_prompt():
    """Catches a key that is sent as a prompt."""
    with serving(replying(GOOD)) as served:
        argv = ("complete", "--base-url", served.url, "-m", "m", "--api-key-file", "-")
        done = run(*argv, stdin=KEY.encode())
        assert (done.code, done.text) == (2, "")
        assert not served.asked


def test_a_key_on_the_command_line_is_none(tmp_path):
    """Catches a flag that takes the key itself, which every other user's `ps` shows."""
    done = run("complete", "--base-url", "http://127.0.0.1:9", "--api-key-file", KEY, "hi")
    assert (done.code, "No such file" in done.err) == (4, True)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_to_another_host(status, monkeypatch):
    """Catches a prompt, or a key, that is sent on to where nobody sent it."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with serving(replying(GOOD)) as other:
        target = other.url.replace("127.0.0.1", "localhost") + "/completions"
        away = as_json({}, status, headers={"Location": target})
        with serving(replying(away)) as served:
            done = run("complete", "--base-url", served.url, "-m", "m", "hi")
        assert done.code == 7
        assert f"sends on to another place ({status})" in done.err
        assert not other.asked


def test_redirects_on_the_same_host():
    """Catches a server behind a path that the client cannot follow."""

    def answer(asked):
        if asked.method == "GET":
            return MODELS
        if asked.path != "/v1/completions/":
            return as_json({}, 307, headers={"Location": "/v1/completions/"})
        return GOOD

    with serving(answer) as served:
        done = run("complete", "--base-url", served.url, "-m", "m", "hi")
        assert (done.code, done.text) == (0, "ab"), done.err
        bodies = served.posted()
    assert bodies[0] == bodies[1]
    with serving(lambda a: as_json({}, 307, headers={"Location": a.path})) as served:
        done = run("complete", "--base-url", served.url, "-m", "m", "hi")
    assert done.code == 7


def test_nothing_is_told_but_the_question(monkeypatch):
    """Catches headers that tell of this machine, and names of an account that are not theirs."""
    monkeypatch.setenv("OPENAI_ORG_ID", "org-mine")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-mine")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "Authorization: Bearer other\nX-Gateway: mine")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-mine")
    with serving(replying(GOOD)) as served:
        run("complete", "--base-url", served.url, "-m", "m", "--seed", "3", "hi")
    headers = served.asked[-1].headers
    assert headers["authorization"] == "Bearer sk-mine"
    assert "x-gateway" not in headers
    assert headers["user-agent"].startswith("gptcli/")
    assert not [name for name in headers if name.startswith(("x-stainless", "openai-"))]
    assert served.posted() == [
        {
            "model": "m",
            "prompt": "hi",
            "max_tokens": 256,
            "seed": 3,
            "stream": True,
            "stream_options": {"include_usage": True},
            "return_token_ids": True,
        }
    ]


def test_what_is_about_this_machine():
    """Catches a flag that a server never hears of; settings of this machine do not matter."""
    settings("dtype = 'int8'\nthreads = 2")
    with serving(replying(GOOD)) as served:
        argv = ("complete", "--base-url", served.url, "-m", "m")
        assert run(*argv, "hi").code == 0
        for flag, value in (("--dtype", "int8"), ("--threads", "2"), ("--ctx-size", "9")):
            done = run(*argv, flag, value, "hi")
            assert done.code == 2
            assert f"{flag}: is about this machine" in done.err
        done = run("complete", "--timeout", "3", "hi")
        assert "--timeout: needs --base-url" in done.err
    assert len(served.posted()) == 1


def test_the_only_model_of_a_server():
    """Catches a question that is asked of a model that nobody named."""
    settings("model = 'gpt2'")
    two = as_json({"data": [{"id": "m", "owned_by": "vllm"}, {"id": "n", "owned_by": "vllm"}]})
    with serving(replying(GOOD)) as served:
        done = run("complete", "--base-url", served.url, "--json", "hi")
        assert '"model": "m"' in done.text
        assert served.posted()[0]["model"] == "m"
        done = run("complete", "--base-url", served.url, "-m", "x", "hi")
        assert (done.code, "x: is no model of" in done.err) == (3, True)
        assert len(served.posted()) == 1
    with serving(replying(GOOD, two)) as served:
        done = run("complete", "--base-url", served.url, "hi")
    assert done.code == 2
    assert "--model: is needed: which one of" in done.err and "it has: m, n" in done.err


def test_a_missing_client(monkeypatch):
    """Catches a traceback where the extra is not installed."""
    monkeypatch.setitem(sys.modules, "openai", None)
    monkeypatch.delitem(sys.modules, "gptcli.backends.remote.client", raising=False)
    done = run("complete", "--base-url", "http://127.0.0.1:9", "-m", "m", "hi")
    assert done.code == 2
    assert "needs the openai client: pip install 'gptcli[remote]'" in done.err


@pytest.mark.slow
def test_no_torch_for_another_machine():
    """Catches an import of what only a model of this machine needs."""
    script = (
        "import sys\nfrom gptcli.cli.boundary import main\ncode = main(sys.argv[1:])\n"
        "print(*sys.modules, file=sys.stderr)\nsys.exit(code)"
    )
    with serving(replying(stream(choice("a", "stop"), DONE))) as served:
        argv = ["complete", "--base-url", served.url, "-m", "m", "hi"]
        done = subprocess.run(
            [sys.executable, "-c", script, *argv], capture_output=True, text=True, timeout=60
        )
    assert (done.returncode, done.stdout) == (0, "a")
    loaded = set(done.stderr.split())
    heavy = {"torch", "numpy", "tokenizers", "safetensors", "jinja2", "huggingface_hub", "gguf"}
    assert not heavy & loaded
    assert not [name for name in loaded if name.startswith("gptcli.engine")]

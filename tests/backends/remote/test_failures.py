"""Servers that fail, lie, stall and shout: one line, the right code, what was printed stays."""

from __future__ import annotations

import json
import time

import pytest

from tests.backends.remote.serving import (
    DONE,
    GOOD,
    MODELS,
    Said,
    as_json,
    choice,
    free_port,
    replying,
    serving,
    stream,
)
from tests.cli.helpers import run

KEY = "sk-secret-0123456789"


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    """The client waits between retries; that it does is its own affair."""
    import openai

    monkeypatch.setattr(openai.OpenAI, "_sleep_for_retry", lambda *_, **__: None)


def complete(url, *flags, key=None, monkeypatch=None):
    if key:
        monkeypatch.setenv("OPENAI_API_KEY", key)
    return run("complete", "--base-url", url, "-m", "m", "--seed", "1", *flags, "hi")


BEGUN = (choice("a"), choice("b"))


@pytest.mark.parametrize(
    ("said", "reason", "printed"),
    [
        (stream(*BEGUN, DONE), "ended before it was finished", "ab"),
        (stream(*BEGUN), "ended before it was finished", "ab"),
        (stream(*BEGUN, "{"), "not valid JSON", "ab"),
        (stream(*BEGUN, "[" * 100_000), "not valid JSON", "ab"),
        (stream(*BEGUN, "9" * 5000), "not valid JSON", "ab"),
        (stream(*BEGUN, "3"), "no object", "ab"),
        (stream(*BEGUN, {"choices": 3}), "without choices", "ab"),
        (stream(*BEGUN, {"choices": [3]}), "choices are no objects", "ab"),
        (stream(*BEGUN, choice("c", index=7)), "nobody asked for", "ab"),
        (stream(*BEGUN, choice(7)), "text is no text", "ab"),
        (stream(*BEGUN, choice("c", "stop"), choice("d")), "goes on after its end", "abc"),
        (stream(*BEGUN, {"error": {"message": "out\n\x1b[31mof memory"}}), "out [31mof", "ab"),
        (stream(*BEGUN, b"data: \xff\xfe\n\n"), "not valid JSON", "ab"),
        (stream(*BEGUN, length=10_000), "broke off", "ab"),
        (stream(*BEGUN, choice("c", "stop"), DONE, length=9), "", ""),
        (Said([b"<html>"], kind="text/html"), "no stream of events", ""),
        (as_json({}), "no stream of events", ""),
        (stream(headers={"Content-Encoding": "gzip"}), "compressed", ""),
    ],
)
def test_broken_answers(said, reason, printed):
    """Catches a traceback, a lost beginning, and an answer that is taken for whole."""
    with serving(replying(said)) as served:
        done = complete(served.url)
    assert done.code == 7, done.err
    assert done.text == printed
    assert reason in done.err
    assert done.err.startswith(f"gptcli: error: {served.url}: ")
    assert done.err.count("\n") == 1 and "\x1b" not in done.err


@pytest.mark.parametrize(
    ("status", "message", "code", "reason"),
    [
        (401, "Incorrect API key provided: " + KEY, 7, "does not take the key (401)"),
        (403, "no", 7, "does not take the key (403)"),
        (404, "The model `m` does not exist", 3, "is no model of"),
        (404, "Not Found", 7, "a base URL mostly ends in /v1"),
        (400, "This model's maximum context length is 5 tokens", 5, "context length is 5"),
        (413, "prompt is too long", 5, "too long"),
        (400, "bad temperature", 7, "refuses this (400): bad temperature"),
        (429, "quota " + KEY, 7, "has too much to do, or enough of you (429): quota (the key)"),
        (500, "x" * 10_000, 7, "failed (500): xxx"),
        (503, "\x1b[2Jloading", 7, "failed (503): [2Jloading"),
        (200, None, 7, "no stream of events"),
    ],
)
def test_refusals(status, message, code, reason, monkeypatch):
    """Catches a wrong exit code, a key in a message, and control characters on the way."""
    body = {"error": {"message": message}}
    with serving(replying(as_json(body, status))) as served:
        done = complete(served.url, key=KEY, monkeypatch=monkeypatch)
    assert (done.code, done.text) == (code, ""), done.err
    assert reason in done.err
    assert KEY not in done.err and "\x1b" not in done.err
    assert done.err.count("\n") == 1 and len(done.err) < 600


def test_a_busy_server_is_asked_again():
    """Catches a client without its retries."""
    replies = [as_json({}, 503), as_json({}, 429), GOOD]
    with serving(lambda a: MODELS if a.method == "GET" else replies.pop(0)) as served:
        done = complete(served.url)
    assert (done.code, done.text) == (0, "ab")
    assert len(served.posted()) == 3


def test_a_server_that_hangs_up():
    """Catches an error of the client that is no line of ours."""
    with serving(lambda a: MODELS if a.method == "GET" else None) as served:
        done = complete(served.url)
    assert done.code == 7
    assert "Server disconnected" in done.err or "reset" in done.err


def test_nobody_there():
    done = complete(f"http://127.0.0.1:{free_port()}/v1")
    assert (done.code, done.text) == (7, "")
    assert "cannot be reached: Connection refused" in done.err


def test_no_such_host():
    done = complete("http://no-such-host.invalid/v1")
    assert done.code == 7
    assert "cannot be reached: " in done.err


def test_what_is_no_tls():
    """Catches a message of OpenSSL's that only its makers understand, and a traceback."""
    with serving(replying(GOOD)) as served:
        done = complete(served.url.replace("http:", "https:"))
    assert done.code == 7
    assert "cannot be reached over TLS" in done.err


def test_a_certificate_that_nobody_vouches_for(tmp_path):
    """Catches a client that trusts whoever answers."""
    import ssl
    import subprocess
    import threading
    from http.server import BaseHTTPRequestHandler, HTTPServer

    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subject = ["-subj", "/CN=127.0.0.1", "-days", "1"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject, *files],
        capture_output=True,
    )
    if made.returncode:
        pytest.skip("there is no openssl to make a certificate with")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    class Quiet(HTTPServer):
        def handle_error(self, *_):
            pass

    server = Quiet(("127.0.0.1", 0), BaseHTTPRequestHandler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        done = complete(f"https://127.0.0.1:{server.server_address[1]}/v1")
    finally:
        server.shutdown()
        server.server_close()
    assert done.code == 7
    assert "cannot be trusted: self-signed certificate" in done.err


def test_a_server_that_stalls():
    """Catches one that is waited for for ever; what came before is printed."""
    with serving(replying(stream(*BEGUN, choice("c", "stop"), pause=0.35))) as served:
        begun = time.perf_counter()
        done = complete(served.url, "--timeout", "0.2")
        late = stream(choice("a"), b": still there\n\n", choice("b"), DONE, pause=0.1)
    assert done.code == 7
    assert "nothing came for 0.2 s (--timeout waits longer)" in done.err
    assert time.perf_counter() - begun < 5
    with serving(replying(late)) as served:
        assert complete(served.url, "--timeout", "0.25").text == "ab"


def test_an_endless_line(monkeypatch):
    """Catches memory that a server fills."""
    from gptcli.backends.remote import client

    monkeypatch.setattr(client, "LONGEST_LINE", 100_000)
    parts = [b"data: {", *[b"x" * 50_000] * 4]
    with serving(replying(stream(*BEGUN, *parts))) as served:
        done = complete(served.url)
    assert (done.code, done.text) == (7, "ab")
    assert "sent more than any answer holds" in done.err


def test_an_endless_answer(monkeypatch):
    """Catches a stream that never ends: of a whole answer so many bytes are read."""
    from gptcli.backends.remote import client

    monkeypatch.setattr(client, "MOST", 100_000)
    with serving(replying(stream(*[choice("x")] * 10_000))) as served:
        done = complete(served.url)
    assert done.code == 7
    assert "sent more than any answer holds" in done.err
    assert set(done.text) == {"x"}


def test_control_characters_in_an_answer():
    """Catches an answer that moves the cursor; piped output is exact."""
    said = stream(choice("a\x1b[2Jb\x07", "stop"), DONE)
    with serving(replying(said)) as served:
        assert complete(served.url).text == "a\x1b[2Jb\x07"
        shown = run("complete", "--base-url", served.url, "-m", "m", "hi", terminal=True).text
    assert "\x1b[2J" not in shown and "\x07" not in shown


def test_half_characters():
    """Catches text that cannot be written: JSON can spell half of a pair."""
    said = stream(b'data: {"choices":[{"text":"\\ud83d","finish_reason":"stop"}]}\n\n', DONE)
    with serving(replying(said)) as served:
        done = complete(served.url)
    assert (done.code, done.text) == (0, "?")


@pytest.mark.parametrize("models", [as_json([1]), as_json({"data": [{"id": 3}, 7]}), GOOD])
def test_broken_lists_of_models(models):
    """Catches a list that is believed: what is no list tells nothing of the server."""
    with serving(replying(GOOD, models)) as served:
        done = complete(served.url)
        listed = run("models", "list", "--base-url", served.url)
    assert (done.code, done.text) == (0, "ab"), done.err
    assert (listed.code, listed.text) == (0, "model\towner\tcontext\n")


def test_numbers_that_are_none():
    """Catches a usage and log-probabilities that are whatever a server likes."""
    wrong = {"prompt_tokens": "many", "completion_tokens": -3, "prompt_tokens_details": 4}
    said = stream(choice("a", "stop"), {"choices": [], "usage": wrong}, DONE)
    with serving(replying(said)) as served:
        done = run("complete", "--base-url", served.url, "-m", "m", "--json", "--stats", "hi")
    usage = json.loads(done.text)["usage"]
    assert usage == {"prompt_tokens": None, "completion_tokens": None, "total_tokens": None}
    assert "prompt: – tokens" in done.err
    for bad in ("high", None, True, float("nan")):
        logprobs = {"content": [{"token": "a", "logprob": bad}]}
        row = {"index": 0, "text": "a", "finish_reason": "stop", "logprobs": logprobs}
        with serving(replying(stream({"choices": [row]}, DONE))) as served:
            done = complete(served.url, "--json", "--logprobs", "1")
        assert done.code == 7
        assert "log-probabilities are no numbers" in done.err


def test_a_key_among_the_names_of_models(monkeypatch):
    """Catches a key in a hint: a server can call its models whatever it likes."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    models = as_json({"data": [{"id": name, "owned_by": "vllm"} for name in ("a", KEY)]})
    with serving(replying(GOOD, models)) as served:
        for flags in (("-m", "m"), ()):
            done = run("complete", "--base-url", served.url, *flags, "hi")
            assert "it has: a, (the key)" in done.err


@pytest.mark.parametrize(
    ("name", "value", "part"),
    [
        ("HTTP_PROXY", "foo://me:pass-word@127.0.0.1:1", "names no proxy that can be used"),
        ("HTTP_PROXY", "http://127.0.0.1:pass-word", "names no proxy that can be used"),
        ("SSL_CERT_FILE", "/no/such/file", "SSL_CERT_FILE or SSL_CERT_DIR: No such file"),
    ],
)
def test_an_environment_that_cannot_be(name, value, part, monkeypatch):
    """Catches a bug that is none of ours, and a password of a proxy in it."""
    monkeypatch.setenv(name, value)
    done = complete("https://127.0.0.1:9")
    assert (done.code, done.text) == (2, ""), done.err
    assert part in done.err and "pass-word" not in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("127.0.0.1:9", "http://127.0.0.1:9/v1"),
        ("localhost:9/v1/", "http://localhost:9/v1"),
        ("http://127.0.0.1:9/v1/completions", "http://127.0.0.1:9/v1"),
        ("https://a.example/api/v1/chat/completions", "https://a.example/api/v1"),
        ("http://127.0.0.1:9/models", "http://127.0.0.1:9/v1"),
        ("127.0.0.1:9/v1/embeddings", "http://127.0.0.1:9/v1"),
        ("localhost:pass-word@a/v1", ""),
        ("file:/v1", ""),
    ],
)
def test_what_is_almost_a_base_url_is_told_as_the_one_that_it_should_be(said, meant):
    """Catches an address as other tools have it, which is refused without a word of what to do."""
    done = complete(said)
    assert (done.code, done.text) == (2, ""), done.err
    assert done.err.count("\n") == 1
    assert (f": {meant} " if meant else "must be a URL as http://127") in done.err
    assert "pass-word" not in done.err


@pytest.mark.parametrize("host", ["a..b", "a" * 64, "."])
def test_hosts_that_cannot_be(host):
    """Catches a name that no system looks up, told as an answer that is no JSON."""
    done = complete(f"http://{host}/v1")
    assert done.code == 2 and "--base-url: must be a URL" in done.err, done.err

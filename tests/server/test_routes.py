"""What else the server answers: models, tokens, embeddings, health, metrics; who is let in."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from gptcli.backends.echo import EchoBackend
from gptcli.server import body
from gptcli.server.admission import Admission, is_loopback
from gptcli.server.desk import Desk
from tests.server.clients import CHAT, COMPLETIONS, client_of, local, post, refused, say

EMBEDDINGS = "/v1/embeddings"
TOKEN = "a token of 24 characters"


def test_models_are_listed_as_openai_does(tiny, backend):
    """Catches a list that clients cannot read."""
    told = tiny.get("/v1/models").json()
    assert told["object"] == "list"
    (model,) = told["data"]
    assert (model["id"], model["object"], model["owned_by"]) == ("tiny", "model", "gptcli")
    assert tiny.get("/v1/models/tiny").json() == model
    assert model["max_model_len"] == model["meta"]["n_ctx"] == backend.model.runner.limit
    assert tiny.get("/v1/models/gpt-4").status_code == 404


def test_tokens_and_back(tiny):
    """Catches ids of another text, and pieces that are not the tokens' own."""
    told = post(tiny, "/tokenize", content="the cat sät", with_pieces=True)
    assert told["count"] == len(told["tokens"])
    pieces = [each["piece"] for each in told["tokens"]]
    joined = b"".join(p.encode() if isinstance(p, str) else bytes(p) for p in pieces)
    assert joined.decode() == "the cat sät"
    ids = [each["id"] for each in told["tokens"]]
    assert post(tiny, "/tokenize", prompt="the cat sät")["tokens"] == ids
    assert post(tiny, "/detokenize", tokens=ids)["content"] == "the cat sät"
    assert post(tiny, "/detokenize", tokens=ids)["prompt"] == "the cat sät"
    assert post(tiny, "/tokenize", content="<|end|>")["count"] > 1
    assert post(tiny, "/tokenize", content="<|end|>", parse_special=True)["tokens"] == [0]
    assert refused(tiny, "/detokenize", tokens=[10**6])["message"].startswith("tokens: ")
    assert refused(tiny, "/detokenize", tokens=["a"])["param"] == "tokens"
    assert refused(tiny, "/tokenize")["param"] == "prompt"


def test_what_stands_before_every_text_is_told_where_it_is_asked_for(tiny_model, tmp_path):
    """Catches a BOS token that vLLM's clients count and this server does not."""
    import shutil

    from tokenizers import Tokenizer as Rust

    from tests.text.tokenizers_for_tests import with_template

    directory = tmp_path / "bos"
    shutil.copytree(tiny_model, directory)
    rust = Rust.from_file(str(directory / "tokenizer.json"))
    with_template(rust, "<|end|>").save(str(directory / "tokenizer.json"))
    with client_of(local(directory)) as client:
        plain = post(client, "/tokenize", content="the cat")["tokens"]
        assert 0 not in plain
        assert post(client, "/tokenize", content="the cat", add_special=True)["tokens"] == [
            0,
            *plain,
        ]
        assert post(client, "/tokenize", prompt="the cat")["tokens"] == [0, *plain]
        bare = post(client, "/tokenize", prompt="the cat", add_special_tokens=False)
        assert bare["tokens"] == plain


def test_embeddings_are_the_last_hidden_state(tiny, tiny_model):
    """Catches a vector of another layer, without the final norm, or pooled otherwise."""
    import torch
    from transformers import AutoModelForCausalLM

    ids = post(tiny, "/tokenize", content="the cat sat")["tokens"]
    model = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32).eval()
    with torch.no_grad():
        hidden = model(torch.tensor([ids]), output_hidden_states=True).hidden_states[-1][0]
    for pooling, want in (("mean", hidden.mean(0)), ("last", hidden[-1])):
        told = post(tiny, EMBEDDINGS, input=["the cat sat", "x"], pooling=pooling)
        assert [each["index"] for each in told["data"]] == [0, 1]
        vector = np.array(told["data"][0]["embedding"])
        np.testing.assert_allclose(vector, (want / want.norm()).numpy(), atol=1e-5)
        assert told["usage"]["prompt_tokens"] == len(ids) + 1
    by_ids = post(tiny, EMBEDDINGS, input=ids)["data"][0]["embedding"]
    assert by_ids == post(tiny, EMBEDDINGS, input="the cat sat")["data"][0]["embedding"]


def test_embeddings_can_be_shorter_and_in_base64(tiny):
    """Catches a cut vector that is no longer of length 1, and bytes in another order."""
    whole = post(tiny, EMBEDDINGS, input="the cat")["data"][0]["embedding"]
    short = post(tiny, EMBEDDINGS, input="the cat", dimensions=5)["data"][0]["embedding"]
    want = np.array(whole[:5]) / np.linalg.norm(whole[:5])
    np.testing.assert_allclose(short, want, atol=1e-6)
    packed = post(tiny, EMBEDDINGS, input="the cat", encoding_format="base64")
    data = base64.b64decode(packed["data"][0]["embedding"])
    assert np.frombuffer(data, "<f4").tolist() == whole
    assert "32" in refused(tiny, EMBEDDINGS, input="a", dimensions=33)["message"]
    assert refused(tiny, EMBEDDINGS, input="a", encoding_format="hex")["param"] == "encoding_format"
    assert refused(tiny, EMBEDDINGS, input=[[1], []])["param"] == "input"
    assert "no token" in refused(tiny, EMBEDDINGS, input=[10**6])["message"]
    assert refused(tiny, EMBEDDINGS, input="the cat " * 99)["code"] == "context_length_exceeded"


def test_a_place_that_cannot_says_so():
    """Catches a failure of the server for a question that its model has no answer to."""
    with client_of() as echo:
        assert "cannot embed" in refused(echo, EMBEDDINGS, input="a")["message"]
        assert "cannot cut" in refused(echo, "/tokenize", prompt="a")["message"]


def test_paths_and_methods_that_are_not_there(tiny):
    """Catches errors that are pages of text."""
    for response, status in ((tiny.get("/v2"), 404), (tiny.get(COMPLETIONS), 405)):
        assert response.status_code == status
        assert response.json()["error"]["type"]


def test_log_and_metrics_tell_of_requests_but_not_their_text():
    """Catches a prompt in a log, and requests that nobody counts."""
    lines: list[str] = []
    with client_of(log=lines.append) as client:
        post(client, COMPLETIONS, prompt="secret words", max_tokens=4)
        refused(client, CHAT, messages=say("secret"), secret_field="secret")
        client.get("/x%0a%1b[31m")
        metrics = client.get("/metrics").text
        assert client.get("/health").json() == {"status": "ok"}
    assert lines[0].startswith("testclient POST /v1/completions 200 ")
    assert lines[0].endswith(" s, 2 + 4 tokens")
    assert " 400 " in lines[1]
    assert not any("secret words" in line or "secret_field" in line for line in lines)
    assert 'gptcli_requests_total{path="/v1/completions",status="200"} 1.0' in metrics
    assert 'path="other",status="404"' in metrics
    assert "gptcli_prompt_tokens_total 2.0" in metrics
    assert "gptcli_completion_tokens_total 4.0" in metrics
    assert "gptcli_first_token_seconds_count 1.0" in metrics
    assert "secret" not in metrics


def test_a_full_desk_is_a_503_that_says_when_to_come_again():
    """Catches a queue without end."""
    backend = EchoBackend()
    with client_of(backend, desk=Desk(backend, places=2)) as client:
        response = client.post(COMPLETIONS, json={"prompt": ["a", "b", "c"]})
        assert response.status_code == 503
        assert int(response.headers["retry-after"]) > 0
        assert response.json()["error"]["code"] == "overloaded"
        post(client, COMPLETIONS, prompt=["a", "b"])


def test_a_bug_is_told_as_one_and_nothing_of_it():
    """Catches a server that hangs, or tells strangers of its inside."""

    class Faulty(EchoBackend):
        def answer(self, question):
            if getattr(question, "prompt", "") == "bug":
                raise ZeroDivisionError("inside")
            return super().answer(question)

    lines: list[str] = []
    with client_of(Faulty(), log=lines.append) as client:
        error = refused(client, COMPLETIONS, 500, prompt="bug")
        assert "inside" not in error["message"]
        post(client, COMPLETIONS, prompt="on")
    assert "bug: the engine: ZeroDivisionError: inside" in lines


def test_numbers_that_nothing_can_be_reckoned_with_are_the_askers_fault(tiny):
    """Catches a whole number beyond every float, which broke all answers that were under way."""
    for name in ("repeat_penalty", "temperature"):
        error = refused(tiny, COMPLETIONS, prompt="a", **{name: 10**400})
        assert error["message"].endswith("not a number that large")
    error = refused(tiny, COMPLETIONS, prompt="a", repeat_penalty=1e-320)
    assert error["param"] == "repeat_penalty"


def test_bodies_are_bounded_together(monkeypatch):
    """Catches memory for as many of the largest bodies as there are connections."""
    monkeypatch.setattr(body.Held.__init__, "__defaults__", (3000,))
    with client_of() as client:
        response = client.post(COMPLETIONS, json={"prompt": "a" * 3000})
        assert (response.status_code, response.headers["retry-after"]) == (503, "2")
        for _ in range(3):
            post(client, COMPLETIONS, prompt="a" * 2000, max_tokens=1)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"host": "127.0.0.1:8080"}, 200),
        ({"host": "[::1]:80"}, 200),
        ({"host": "[::1]"}, 200),
        ({"host": "127.8.8.8:80"}, 200),
        ({"host": "localhost", "origin": "http://localhost"}, 200),
        ({"host": "evil.example"}, 403),
        ({"host": "127.0.0.1.evil.example"}, 403),
        ({"host": "localhost.evil.example:8080"}, 403),
        ({"host": ""}, 403),
        ({"host": "localhost", "origin": "http://evil.example"}, 403),
        ({"host": "localhost", "origin": "null"}, 403),
        ({"host": "localhost", "origin": "http://["}, 403),
        ({"host": "[127.0.0.1].evil.example"}, 403),
        ({"host": "localhost:1", "origin": "http://localhost:2"}, 403),
    ],
)
def test_pages_of_other_sites_are_refused(headers, status):
    """Catches a web page that reads a model of the machine that it is seen on."""
    with client_of() as client:
        response = client.post(COMPLETIONS, json={"prompt": "a"}, headers=headers)
        assert response.status_code == status
        preflight = client.options(COMPLETIONS, headers={"origin": "http://evil.example"})
        for each in (response, preflight):
            assert not [name for name in each.headers if name.startswith("access-control")]


def test_a_token_is_asked_for():
    """Catches a door that opens to any word, or to a part of the right one."""
    with client_of(admission=Admission(TOKEN)) as client:
        for shown in (
            None,
            "",
            "Bearer",
            f"Bearer {TOKEN[:-1]}",
            f"Basic {TOKEN}",
            f"Bearer {TOKEN}x",
        ):
            headers = {} if shown is None else {"authorization": shown}
            response = client.get("/v1/models", headers=headers)
            assert response.status_code == 401
            assert TOKEN not in response.text
        good = {"authorization": f"Bearer {TOKEN}", "host": "my.example"}
        assert client.get("/v1/models", headers=good).status_code == 200
        assert client.get("/metrics").status_code == 401
        assert client.get("/health").status_code == 200


def test_which_addresses_only_this_machine_reaches():
    """Catches an address of others that needs no token."""
    assert all(map(is_loopback, ("127.0.0.1", "127.8.8.8", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.168.1.5", "localhost.example", "")))

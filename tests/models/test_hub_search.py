"""What a search of the hub finds, and how it is shown."""

from __future__ import annotations

import pytest

from gptcli import models
from gptcli.engine.weights.quantised import _METHODS
from gptcli.errors import NetworkError
from gptcli.models.quantised_facts import METHODS
from gptcli.types.models import OfferedVariant
from tests.models.test_hub import SMALL, WEIGHTS, Hub, hub  # noqa: F401 - a fixture
from tests.tasks import ended

FAMILIES = ("llama", "gpt2")
PLAIN = SMALL | {"model.safetensors": WEIGHTS}
KINDS = {
    "a/words-plain": (PLAIN, {"config": {"model_type": "llama"}, "downloads": 7}),
    "a/words-gguf": ({"x-Q8_0.gguf": b"x" * 9}, {"gguf": {"architecture": "llama", "total": 9}}),
    "a/words-other": (PLAIN, {"config": {"model_type": "whisper"}}),
    "a/words-rwkv": ({"x-Q8_0.gguf": b"x"}, {"gguf": {"architecture": "rwkv7"}}),
    "a/words-nothing": (PLAIN, {}),
    "a/words-bnb": (
        PLAIN,
        {
            "config": {
                "model_type": "llama",
                "quantization_config": {"quant_method": "bitsandbytes"},
            }
        },
    ),
    "a/words-awq": (
        PLAIN,
        {"config": {"model_type": "llama", "quantization_config": {"quant_method": "awq"}}},
    ),
    "a/words-pickled": (
        SMALL | {"pytorch_model.bin": b"x"},
        {"config": {"model_type": "gpt2"}, "gated": "manual"},
    ),
    "a/words-strange": (PLAIN, {"config": 5, "gguf": [], "downloads": "x", "tags": 7}),
}


@pytest.fixture
def kinds(hub: Hub) -> Hub:  # noqa: F811
    hub.repos = {name: files for name, (files, _) in KINDS.items()}
    hub.more = {name: more for name, (_, more) in KINDS.items()}
    return hub


def test_what_runs_here_is_found(kinds: Hub) -> None:
    """A model shown that is refused when it is fetched, or one left out that runs."""
    found, looked_at = ended(models.search("words", FAMILIES, 10))
    assert [each.name for each in found] == ["a/words-plain", "a/words-gguf", "a/words-awq"]
    assert looked_at == len(KINDS) and kinds.queries[0]["sort"] == ["downloads"]
    plain, gguf, _ = found
    assert plain.downloads == 7 and plain.meant == OfferedVariant(
        "", 1, len(WEIGHTS), plain.meant.memory
    )
    assert gguf.default == "Q8_0" and gguf.meant.size == 9 and gguf.parameters == 9
    assert not kinds.asked


def test_no_more_than_was_asked_for(kinds: Hub) -> None:
    """A list of hundreds, or as many questions to the hub."""
    found, looked_at = ended(models.search("words", FAMILIES, 1))
    assert [each.name for each in found] == ["a/words-plain"] and looked_at == 1
    assert ended(models.search("nobody has this", FAMILIES, 1)) == ([], 0)


def test_a_repository_that_went_meanwhile(kinds: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that was found lost with one that is gone."""
    from gptcli.models import hub_answers

    listing = hub_answers.listing

    def other(repo):
        if repo.id == "a/words-plain":
            del kinds.repos["a/words-plain"]
        return listing(repo)

    monkeypatch.setattr(hub_answers, "listing", other)
    found, _ = ended(models.search("words", FAMILIES, 10))
    assert [each.name for each in found] == ["a/words-gguf", "a/words-awq"]


@pytest.mark.parametrize("answer", [b"{}", b"[1]", b'[{"id": 5}]', b"[[]]", b"x", b'{"a": 1}'])
def test_an_answer_that_is_none(kinds: Hub, monkeypatch: pytest.MonkeyPatch, answer: bytes) -> None:
    """A traceback out of the library, and exit code 1."""
    from tests.models import test_hub

    send = test_hub._Handler._send
    monkeypatch.setattr(
        test_hub._Handler,
        "_send",
        lambda self, status, data, headers, body, slow=False: send(
            self, status, answer, headers, body, slow
        ),
    )
    try:
        assert ended(models.search("words", FAMILIES, 10))[0] == []
    except NetworkError as error:
        assert "\n" not in str(error)


def test_offline(kinds: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """A search that is said to be a model that is not on this disk."""
    import huggingface_hub
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    huggingface_hub.close_session()
    with pytest.raises(NetworkError, match="HF_HUB_OFFLINE forbids to ask"):
        ended(models.search("words", FAMILIES, 10))


def test_the_methods_are_those_of_the_engine() -> None:
    """A way to quantise that runs and is not found, or the other way round."""
    assert set(METHODS) == set(_METHODS)

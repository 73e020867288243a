"""Local = remote: the same weights give the same texts and numbers, wherever they are asked."""

from __future__ import annotations

import json
import math

import pytest

from gptcli.backends import open_backend
from gptcli.backends.place import place_of
from gptcli.backends.remote import RemoteBackend
from gptcli.types.batch import Asked, BatchRequest, Ended, Told
from gptcli.types.chat import ChatRequest, Message
from gptcli.types.choose import ChooseRequest
from gptcli.types.completion import Chunk, Request
from gptcli.types.compute import Compute
from gptcli.types.few_shot import Answer, Example, FewShotQueries, FewShotRequest, Query
from gptcli.types.next_tokens import NextTokensRequest
from gptcli.types.sampling import SamplingWish
from gptcli.types.score import ScoreRequest
from gptcli.types.tokens import TokensRequest
from gptcli.types.tree import TreeRequest
from tests.cli.helpers import run
from tests.servers.conftest import NAME
from tests.servers.prompts import PROMPTS
from tests.tasks import ended

pytestmark = [pytest.mark.servers, pytest.mark.model]

GREEDY = SamplingWish(temperature=0.0, repeat_penalty=1.0)
TOKENS = 16
EXACT, ROUNDED = 1e-3, 2e-2
HALF = "\ufffd"
EVERY = ("vllm", "llama_server", "own")
#: Those that tell the log-probabilities of a prompt.
SCORING = ("vllm", "own")


@pytest.fixture(scope="session")
def here(plain_default_model):
    """This machine's engine, in float32."""
    return ended(open_backend(Compute(model=str(plain_default_model), dtype="float32")))


@pytest.fixture
def there(request):
    """The backend of a server, by the name of its fixture."""
    url = request.getfixturevalue(request.param)
    place = place_of(Compute(model=NAME, base_url=url, by_hand=frozenset({"model"})))
    return RemoteBackend(place)


class Listed:
    """All at once."""

    def __init__(self, questions):
        self._coming = [Asked(key, each) for key, each in enumerate(questions)][::-1]

    def take(self, *, wait, room=True):
        return self._coming.pop() if room and self._coming else None


def answers(backend, questions):
    """Text and tokens of each, asked side by side."""
    texts = dict.fromkeys(range(len(questions)), "")
    tokens = {key: [] for key in texts}
    for told in backend.answer(BatchRequest(Listed(questions), most=4)):
        if isinstance(told, Ended):
            assert told.error is None
        elif isinstance(told, Told) and isinstance(told.part, Chunk):
            texts[told.key] += told.part.text
            tokens[told.key] += told.part.tokens
    return texts, tokens


def completions():
    return [Request(text, GREEDY, TOKENS, logprobs=1) for text in PROMPTS]


def chats():
    return [
        ChatRequest((Message("user", text),), sampling=GREEDY, max_new_tokens=TOKENS, logprobs=1)
        for text in PROMPTS
    ]


@pytest.mark.parametrize("questions", [completions, chats], ids=["completion", "chat"])
@pytest.mark.parametrize("there", EVERY, indirect=True)
def test_fifty_prompts(here, there, questions):
    """Catches a prompt that is not sent as it is, a template that is another, wrong numbers."""
    asked = questions()
    ours, our_tokens = answers(here, asked)
    theirs, their_tokens = answers(there, asked)
    # Of half a character at the end servers tell nothing, or U+FFFD as this machine does.
    assert {k: v.rstrip(HALF) for k, v in theirs.items()} == {
        k: v.rstrip(HALF) for k, v in ours.items()
    }
    for key in ours:
        coming = iter(their_tokens[key])
        following = next(coming, None)
        for token in our_tokens[key]:
            if following is None or following.id != token.id:
                # llama-server streams no token that is less than a character.
                assert HALF in token.token
                continue
            assert following.logprob == pytest.approx(token.logprob, abs=EXACT)
            assert following.bytes == token.bytes or HALF in token.token
            following = next(coming, None)
        assert following is None


@pytest.mark.parametrize("there", ["vllm_bfloat16"], indirect=True)
def test_log_probabilities_in_bfloat16(here, there):
    """Catches numbers of another place in the text. A single token may be further off than that,
    as logits of 16 and more come in steps of 0.06 and 0.125 in bfloat16; their mean may not.
    """
    apart = []
    for text in PROMPTS:
        request = ScoreRequest(text)
        ours, theirs = here.answer(request), there.answer(request)
        for a, b in zip(ours.tokens[1:], theirs.tokens[1:], strict=True):
            assert a.token == b.token
            apart.append(a.logprob - b.logprob)
    assert abs(math.fsum(apart) / len(apart)) <= ROUNDED


@pytest.mark.parametrize("there", SCORING, indirect=True)
def test_scores(here, there):
    """Catches scores that stand one off, and tokens whose bytes are others."""
    for text in PROMPTS:
        request = ScoreRequest(text + " and so on", context="Well: ")
        ours, theirs = here.answer(request), there.answer(request)
        assert ours.context_tokens == theirs.context_tokens
        assert ours.totals.bytes == theirs.totals.bytes
        for a, b in zip(ours.tokens, theirs.tokens, strict=True):
            assert a.token == b.token
            # Half a character vLLM calls by what it makes together with those before.
            half = HALF in a.best.text and a.best.bytes != b.best.bytes
            assert a.best.id == b.best.id if half else a.best.bytes == b.best.bytes
            assert a.logprob == pytest.approx(b.logprob, abs=EXACT)
            # Of two that are as probable, the order is anyone's.
            assert b.rank is None or a.rank == pytest.approx(b.rank, abs=2)


@pytest.mark.parametrize("there", SCORING, indirect=True)
def test_choices_and_labels(here, there):
    """Catches another border between prompt and choice, and another document of examples."""
    for prompt, *choices in (
        ("The capital of France is", " Paris", " Rome", " London"),
        ("Sky: ", "blue", "green"),
        ("The capital of Fran", "ce", "conia"),
    ):
        request = ChooseRequest(prompt, tuple(choices), calibrate="N/A")
        ours, theirs = here.answer(request), there.answer(request)
        assert ours.prompt_tokens == theirs.prompt_tokens
        for a, b in zip(ours.ranked, theirs.ranked, strict=True):
            assert (a.text, a.size) == (b.text, b.size)
            assert a.logprob == pytest.approx(b.logprob, abs=EXACT)
            assert a.calibrated == pytest.approx(b.calibrated, abs=2 * EXACT)
    request = FewShotRequest(
        (Example("I love it.", "good"), Example("I hate it.", "bad")),
        labels=("good", "bad"),
        calibrate=True,
    )
    queries = [Query("q", text) for text in ("What a day!", "Never again.", "It broke.")]
    told = [list(each.answer(FewShotQueries(request, queries))) for each in (here, there)]
    for a, b in zip(*told, strict=True):
        if isinstance(a, Answer):
            assert (a.text, a.prompt_tokens) == (b.text, b.prompt_tokens)
            for one, other in zip(a.shares, b.shares, strict=True):
                assert one.logprob == pytest.approx(other.logprob, abs=EXACT)
                assert one.calibrated == pytest.approx(other.calibrated, abs=EXACT)


@pytest.mark.parametrize("there", EVERY, indirect=True)
def test_next_tokens_trees_and_cuts(here, there):
    """Catches rivals of another place, and ids or bytes that are not the token's."""
    for text in PROMPTS[:20]:
        ours, theirs = (each.answer(NextTokensRequest(text, rows=8)) for each in (here, there))
        mine = {each.token.id: each.logprob for each in ours.candidates}
        for each in theirs.candidates:
            # The last may have a rival that is as probable.
            if each.rank < 8:
                assert each.logprob == pytest.approx(mine[each.token.id], abs=EXACT)
        assert ours.prompt_tokens == theirs.prompt_tokens
        ours, theirs = (each.answer(TokensRequest(text)) for each in (here, there))
        assert ours == type(ours)(ours.model, theirs.ids, theirs.known, theirs.data)
    request = TreeRequest(PROMPTS[0], depth=3, width=3)
    ours, theirs = (each.answer(request) for each in (here, there))
    assert ours.prompt_tokens == theirs.prompt_tokens
    assert paths(ours.children) == pytest.approx(paths(theirs.children), abs=EXACT)


def paths(nodes, before=()):
    """Log-probabilities by path."""
    found = {}
    for node in nodes:
        path = (*before, node.token.id)
        found[path] = node.logprob
        found |= paths(node.children, path)
    return found


@pytest.mark.parametrize("server", EVERY)
def test_few_shot_answers(plain_default_model, request, server):
    """Catches stops and samplers that are lost on the way, in the whole command."""
    argv = ("few-shot", "--preset", "translate", "--seed", "1")
    stdin = b"The sea is blue.\nI have a dog.\nWhere is the station?\n"
    done = run(*argv, "--base-url", request.getfixturevalue(server), stdin=stdin)
    assert done.code == 0, done.err
    local = run(*argv, "-m", str(plain_default_model), "--dtype", "float32", stdin=stdin)
    assert done.text == local.text


@pytest.mark.parametrize("server", EVERY)
def test_the_list_of_models(request, server):
    done = run("models", "list", "--base-url", request.getfixturevalue(server), "--json")
    (model,) = json.loads(done.text)
    # The others were told how much to keep room for, ours keeps it for all that the model takes.
    assert (model["name"], model["context"]) == (NAME, 8192 if server == "own" else 2048)

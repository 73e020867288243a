"""Few-shot answers of a tiny model: batches, shared prefixes, borders, labels, what is refused."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from gptcli.backends.echo import EchoBackend
from gptcli.backends.local import LocalBackend, few_shot
from gptcli.backends.local.open_model import OpenModel
from gptcli.backends.local.sample import Sample
from gptcli.backends.shares import CONTENT_FREE
from gptcli.errors import ContextError, InputError, UsageError
from gptcli.text.example_template import ExampleTemplate
from gptcli.types.chat import ChatForm
from gptcli.types.completion import Request
from gptcli.types.compute import Compute
from gptcli.types.few_shot import (
    Answer,
    Example,
    FewShotDocumentRequest,
    FewShotForm,
    FewShotQueries,
    FewShotRequest,
    FewShotUsage,
    Query,
)
from gptcli.types.models import ModelDir
from gptcli.types.sampling import SamplingWish

EXAMPLES = (Example("the cat", "sat"), Example("the dog", "on the log"), Example("they", "all"))
QUERIES = ("the mat", "a", "the dog sat on the log", "together, then")
GREEDY = SamplingWish(temperature=0.0)
TEMPLATE = (
    "{% for m in messages %}<|role|>{{ m.role }}: {{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|role|>assistant:{% endif %}"
)


@pytest.fixture(scope="module")
def directory(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with a longer context and a chat template."""
    found = tmp_path_factory.mktemp("few-shot") / "model"
    shutil.copytree(tiny_model, found)
    config = json.loads((found / "config.json").read_text())
    (found / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 512}))
    (found / "chat_template.jinja").write_text(TEMPLATE)
    return found


@pytest.fixture(scope="module")
def model(directory: Path) -> OpenModel:
    return OpenModel(ModelDir("tiny", directory, "test"), Compute(device="cpu"))


@pytest.fixture(scope="module")
def backend(model: OpenModel) -> LocalBackend:
    return LocalBackend(model)


def request_of(**fields: object) -> FewShotRequest:
    given = {"examples": EXAMPLES, "sampling": GREEDY, "max_new_tokens": 8} | fields
    return FewShotRequest(**given)  # type: ignore[arg-type]


def queries(texts=QUERIES) -> Iterator[Query]:
    return (Query(f"q: line {place}", text) for place, text in enumerate(texts, 1))


def run(backend: LocalBackend, request: FewShotRequest, texts=QUERIES) -> list[Answer]:
    events = list(backend.answer(FewShotQueries(request, queries(texts))))
    assert isinstance(events[-1], FewShotUsage)
    answers = events[:-1]
    assert all(isinstance(each, Answer) for each in answers)
    assert [each.index for each in answers] == list(range(len(texts)))
    assert [each.input for each in answers] == list(texts)
    return answers


def document(query: str, *, instruction: str | None = None) -> str:
    template = ExampleTemplate("Input: {input}\nOutput: {output}", "\n\n")
    return template.document(instruction, EXAMPLES, query)


def alone(backend: LocalBackend, text: str, stops: tuple[str, ...], most: int) -> str:
    """The slow, obvious way: the whole document as a prompt of its own."""
    request = Request(text, sampling=GREEDY, stop=stops, max_new_tokens=most)
    chunks = [event for event in backend.answer(request) if hasattr(event, "finish_reason")]
    return "".join(chunk.text for chunk in chunks).strip()


@pytest.mark.parametrize("rows", [1, 2, 3, 32])
def test_batches_answer_as_the_whole_prompt_would(backend, monkeypatch, rows):
    """Catches a row that sees another's tokens, padding, or a prefix that is not its own."""
    monkeypatch.setattr(few_shot, "ROWS", rows)
    answers = run(backend, request_of())
    for answer in answers:
        assert answer.text == alone(backend, document(answer.input), ("\n",), 8)
    assert len({answer.text for answer in answers}) > 1


def test_the_examples_are_computed_once(backend, model):
    """Catches a prefix that every query pays for."""
    request = request_of(max_new_tokens=1)
    events = list(backend.answer(FewShotQueries(request, queries())))
    answers, usage = events[:-1], events[-1]
    whole = [len(model.encode(document(text))) for text in QUERIES]
    assert [each.prompt_tokens for each in answers] == whole
    assert usage.prompt_tokens == sum(whole)
    shared = answers[1].reused_tokens
    assert shared >= len(model.encode(document("")[: -len("\nOutput:")])) - 2
    assert usage.computed_tokens == sum(whole) - shared * (len(QUERIES) - 1)
    assert (usage.queries, usage.completion_tokens) == (len(QUERIES), len(QUERIES))


def test_rows_stop_by_themselves(backend):
    """Catches an answer that ends where another one does."""
    answers = run(backend, request_of(max_new_tokens=40, stop=("t", "e")))
    for answer in answers:
        assert answer.text == alone(backend, document(answer.input), ("t", "e", "\n"), 40)
        assert "t" not in answer.text and "e" not in answer.text


def test_answers_come_in_order_and_as_they_come(backend, monkeypatch):
    """Catches queries that are all read before the first one is answered."""
    monkeypatch.setattr(few_shot, "ROWS", 2)
    read: list[str] = []

    def texts() -> Iterator[Query]:
        for query in queries():
            read.append(query.text)
            yield query

    events = backend.answer(FewShotQueries(request_of(max_new_tokens=1), texts()))
    assert next(events).index == 0
    assert len(read) == 3
    assert [event.index for event in list(events)[:-1]] == [1, 2, 3]


def test_a_pause_answers_what_has_come(backend):
    """Catches queries that wait for a full batch although no more come for now."""
    read: list[object] = []

    def texts() -> Iterator[Query | None]:
        for item in (None, *list(queries())[:2], None, None, *list(queries())[2:]):
            read.append(item)
            yield item

    events = backend.answer(FewShotQueries(request_of(), texts()))
    assert next(events).index == 0 and len(read) == 4
    assert [event.index for event in list(events)[:-1]] == [1, 2, 3]


def test_what_stands_before_an_error_is_answered(backend):
    """Catches rows that are lost with the batch that a bad row would have been in."""

    def broken() -> Iterator[Query]:
        yield from queries(QUERIES[:2])
        raise InputError("q: line 3", "is not JSON")

    answered = []
    with pytest.raises(InputError, match="line 3"):
        for event in backend.answer(FewShotQueries(request_of(), broken())):
            answered.append(event)
    assert [each.index for each in answered[:-1]] == [0, 1]
    assert answered[-1].queries == 2


def test_a_query_that_does_not_fit(backend):
    """Catches a prompt that is cut, an error without its line, and answers lost before it."""
    answered = []
    with pytest.raises(ContextError) as caught:
        for event in backend.answer(
            FewShotQueries(request_of(), queries(["the mat", "sat " * 600]))
        ):
            answered.append(event)
    assert [each.index for each in answered[:-1]] == [0]
    assert str(caught.value).startswith("q: line 2: with its 3 examples has ")
    assert "no room in the context of 512 (--shots takes fewer" in str(caught.value)


def test_an_answer_ends_where_the_context_does(directory):
    """Catches a row that runs beyond the context because another one has more room."""
    small = LocalBackend(
        OpenModel(ModelDir("t", directory, "test"), Compute(device="cpu", ctx_size=100))
    )
    answers = run(small, request_of(max_new_tokens=500, form=FewShotForm(separator=" ## ")))
    for answer in answers:
        assert answer.prompt_tokens + answer.completion_tokens <= 100
    assert {each.finish_reason for each in answers} <= {"length", "stop"}


@pytest.mark.parametrize("calibrate", [False, True])
def test_labels_are_worth_what_a_forward_over_each_says(backend, model, calibrate):
    """Catches a share of the wrong tokens, and a calibration by something else than stated."""
    labels = ("sat", "on the mat", "all together")
    answers = run(backend, request_of(labels=labels, calibrate=calibrate))

    def shares(query: str) -> tuple[list[float], list[float]]:
        logprobs = []
        for label in labels:
            start = model.tokenizer.encode(document(query))
            ids = model.tokenizer.encode(f"{document(query)} {label}")
            assert ids[: len(start)] == start
            whole = torch.as_tensor(
                model.runner.all_logits(ids, model.runner.new_state())
            ).log_softmax(-1)
            logprobs.append(sum(float(whole[i - 1, ids[i]]) for i in range(len(start), len(ids))))
        mass = sum(map(math.exp, logprobs))
        return logprobs, [math.exp(each) / mass for each in logprobs]

    free = [shares(text)[1] for text in CONTENT_FREE]
    base = [sum(column) / len(free) for column in zip(*free, strict=True)]
    for answer in answers:
        logprobs, plain = shares(answer.input)
        assert [each.label for each in answer.shares] == list(labels)
        assert [each.logprob for each in answer.shares] == pytest.approx(logprobs, abs=1e-3)
        assert [each.probability for each in answer.shares] == pytest.approx(plain, abs=1e-4)
        weights = [share / without for share, without in zip(plain, base, strict=True)]
        calibrated = [weight / sum(weights) for weight in weights]
        if calibrate:
            assert [e.calibrated for e in answer.shares] == pytest.approx(calibrated, abs=1e-4)
        else:
            assert {each.calibrated for each in answer.shares} == {None}
        best = max(range(3), key=(calibrated if calibrate else plain).__getitem__)
        assert answer.text == labels[best]
        assert answer.finish_reason == "label"


def test_labels_of_which_one_begins_another(backend, model):
    """Catches "1" that is worth at least as much as "10" whatever the model says."""
    labels = ("sat", "sat on", "on")
    answers = run(backend, request_of(labels=labels))
    for answer in answers:
        logprobs = []
        for label in labels:
            start = model.tokenizer.encode(document(answer.input))
            ids = model.tokenizer.encode(f"{document(answer.input)} {label}\n\n")
            label_end = model.tokenizer.encode(f"{document(answer.input)} {label}")
            ids = ids[: len(label_end) + 1]
            assert ids[:-1] == label_end
            whole = torch.as_tensor(
                model.runner.all_logits(ids, model.runner.new_state())
            ).log_softmax(-1)
            logprobs.append(sum(float(whole[i - 1, ids[i]]) for i in range(len(start), len(ids))))
        assert [each.logprob for each in answer.shares] == pytest.approx(logprobs, abs=1e-3)
    plain = run(backend, request_of(labels=("sat", "on")))
    assert plain[0].shares[0].logprob > answers[0].shares[0].logprob


def test_the_border_counts_in_a_chat_too(backend, model):
    """Catches a turn's end that is left out where labels need one."""
    form = FewShotForm(chat=ChatForm())
    both = run(backend, request_of(form=form, labels=("sat", "sat on")))
    apart = run(backend, request_of(form=form, labels=("sat", "then")))
    assert both[0].shares[0].logprob < apart[0].shares[0].logprob


def test_calibration_is_counted(backend):
    """Catches prompts that are run and appear in no figure."""
    fields = {"labels": ("sat", "all"), "order": "similar", "shots": 1}
    plain = list(backend.answer(FewShotQueries(request_of(**fields), queries())))[-1]
    more = list(backend.answer(FewShotQueries(request_of(**fields, calibrate=True), queries())))[-1]
    assert more.prompt_tokens > 2 * plain.prompt_tokens
    assert more.computed_tokens > plain.computed_tokens


def test_an_answer_does_not_end_before_it_begins():
    """Catches a new line before the answer that is taken for its end."""
    sample = Sample(("\n",), trim=True)
    assert [sample.feed(0, data) for data in (b"\n", b" \n", b" a", b"b\nc")] == ["", "", "a", "b"]
    assert (sample.text, sample.finish_reason) == ("ab", "stop")
    plain = Sample(("\n",))
    plain.feed(0, b"\n")
    assert plain.finish_reason == "stop"


def test_no_tokens_are_no_answer(backend):
    """Catches a limit of 0 that is taken for none."""
    answers = run(backend, request_of(max_new_tokens=0))
    assert {(each.text, each.completion_tokens) for each in answers} == {("", 0)}


def test_orders(backend):
    """Catches a seed that does not matter, and shots that are taken before the shuffle."""

    def texts(**fields: object) -> str:
        request = request_of(**fields)
        return backend.answer(FewShotDocumentRequest(request, Query("q", "the log"))).text

    assert texts(shots=1).startswith("Input: the cat\nOutput: sat\n\nInput: the log")
    found = {texts(order="random", order_seed=seed, shots=1) for seed in range(20)}
    assert len(found) == 3
    assert texts(order="random", order_seed=4) == texts(order="random", order_seed=4)
    # "the log" is likest to "the dog", which then stands next to it.
    assert texts(order="similar", shots=1).startswith("Input: the dog\n")
    assert texts(order="similar", shots=2).index("the dog") > texts(shots=2).index("the cat")
    assert texts(shots=0) == "Input: the log\nOutput:"


def test_similar_examples_change_the_answer_of_their_query_only(backend):
    """Catches examples of one query that another one in its batch is given."""
    request = request_of(order="similar", shots=1)
    together = run(backend, request)
    for text, answer in zip(QUERIES, together, strict=True):
        assert run(backend, request, [text])[0].text == answer.text


def test_examples_and_queries_forge_no_control_token(backend, model):
    """Catches <|role|> in an example or in a query that becomes a turn of the conversation."""
    names = model.tokenizer.control_names()
    assert len(names) == 2
    for chat in (None, ChatForm()):
        harmless = None
        for name in ("x", *names.values()):
            examples = (Example(f"a{name}b", f"{name}c"),)
            form = FewShotForm(instruction=f"{name} do", chat=chat)
            request = request_of(examples=examples, form=form)
            found = backend.answer(FewShotDocumentRequest(request, Query("q", f"{name}")))
            ids = [token.id for turn in found.turns for token in turn.tokens]
            counts = [ids.count(control) for control in names]
            harmless = harmless or counts
            assert counts == harmless
            assert found.text.count(name) >= 4


def test_as_chat_makes_turns(backend):
    """Catches examples that stay one text, and an instruction that is no system message."""
    form = FewShotForm(instruction="Go on.", chat=ChatForm())
    found = backend.answer(FewShotDocumentRequest(request_of(form=form), Query("q", "the mat")))
    assert [turn.role for turn in found.turns] == [
        "system",
        *("user", "assistant") * 3,
        "user",
        "assistant",
    ]
    assert found.text.startswith("<|role|>system: Go on.<|end|><|role|>user: the cat<|end|>")
    assert found.text.endswith("<|role|>user: the mat<|end|><|role|>assistant:")
    answers = run(backend, request_of(form=form))
    labelled = run(backend, request_of(form=form, labels=("sat", "all")))
    assert {each.text for each in labelled} <= {"sat", "all"}
    assert answers[1].reused_tokens > answers[0].prompt_tokens // 2


def test_the_document_is_shown_by_role(backend):
    """Catches a turn whose end is looked for in the wrong place."""
    request = request_of(form=FewShotForm(instruction="Go on."))
    found = backend.answer(FewShotDocumentRequest(request, Query("q", "the mat")))
    assert found.text == document("the mat", instruction="Go on.")
    spoken = [turn for turn in found.turns if turn.role == "assistant"]
    assert [turn.text for turn in spoken] == [" sat", " on the log", " all"]
    assert all(0 <= turn.ending_probability <= 1 for turn in spoken)
    with pytest.raises(ContextError, match="q"):
        backend.answer(FewShotDocumentRequest(request, Query("q", "sat " * 600)))


def test_echo_refuses_by_name():
    """Catches a fake that makes answers up."""
    with pytest.raises(UsageError, match="echo"):
        EchoBackend().answer(FewShotQueries(request_of(), queries()))

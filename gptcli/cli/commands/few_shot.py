"""`gptcli few-shot`: a few examples in the prompt, and answers in their manner."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace

from gptcli.backends import Backend
from gptcli.cli.commands.few_shot_evaluation import Plan, plan, run
from gptcli.cli.flags import (
    adapter as adapter_options,
)
from gptcli.cli.flags import (
    common as options,
)
from gptcli.cli.flags import (
    cpu as cpu_options,
)
from gptcli.cli.flags import few_shot as own
from gptcli.cli.flags import (
    generation as generation_options,
)
from gptcli.cli.flags.pairs import TakesPairs, pairs_of
from gptcli.cli.input.few_shot_examples import form_of, gather, labels_among
from gptcli.cli.input.few_shot_queries import Expected, expected_rows, queries_of
from gptcli.cli.opening import open_for, settings_of
from gptcli.config import Settings
from gptcli.errors import UsageError
from gptcli.types.events import Notice
from gptcli.types.few_shot import (
    Answer,
    FewShotDocumentRequest,
    FewShotEvent,
    FewShotQueries,
    FewShotRequest,
    FewShotUsage,
    Query,
)
from gptcli.types.limits import LIMITS
from gptcli.ui.data.writer import DataWriter
from gptcli.ui.terminal.messages import Messages
from gptcli.ui.views import chat_document as document_view
from gptcli.ui.views import evaluation as evaluation_view
from gptcli.ui.views import few_shot as view

COMMAND_CLASS = TakesPairs
#: Of a free answer: examples are short, and a border ends most answers before this.
DEFAULT_TOKENS = 64

#: (what it is for, the command), for the man page.
EXAMPLES = (
    (
        "Examples that come with gptcli.",
        'gptcli few-shot --preset translate "Where is the library?"',
    ),
    (
        "Examples on the command line.",
        "gptcli few-shot --example cat cats --example city cities --example box boxes child",
    ),
    (
        "A form of your own; the answer ends where the example's output would.",
        "gptcli few-shot --example Japan Tokyo --example Italy Rome"
        r" --template 'Country: {input}\nCapital: {output}' France",
    ),
    (
        "Which label? The probability of each, without what it is worth anyway.",
        'gptcli few-shot --preset sentiment --calibrate "I lost my luggage."',
    ),
    (
        "Many queries, a line each, answers in their order; the examples are computed once.",
        "gptcli few-shot --preset translate --queries sentences.txt > translated.txt",
    ),
    (
        "How good is it? Accuracy with its interval, confusions, calibration.",
        "gptcli few-shot --preset sentiment --evaluate reviews.csv"
        " --input-field text --output-field label",
    ),
    (
        "The document behind an answer.",
        'gptcli few-shot --preset question-answering --show-prompt "Who wrote Faust?"',
    ),
)


def few_shot(
    query: own.Query = None,
    prompt_option: own.QueryOption = None,
    file: own.QueryFile = None,
    verbatim: options.Verbatim = False,
    queries: own.Queries = None,
    queries_format: own.QueriesFormat = None,
    preset: own.Preset = None,
    examples: own.Examples = None,
    example: own.OneExample = None,
    input_field: own.InputField = None,
    output_field: own.OutputField = None,
    shots: own.Shots = None,
    order: own.Order = "given",
    instruction: own.Instruction = None,
    template: own.Template = None,
    separator: own.Separator = None,
    as_chat: own.AsChat = False,
    label: own.Label = None,
    classify: own.Classify = False,
    calibrate: own.Calibrate = False,
    evaluate: own.Evaluate = None,
    match: own.Match = None,
    orders: own.Orders = None,
    leave_one_out: own.LeaveOneOut = False,
    max_new_tokens: own.MaxNewTokens = None,
    stop: generation_options.Stop = None,
    model: options.Model = None,
    adapter: adapter_options.Adapter = None,
    adapter_apart: adapter_options.Apart = False,
    device: options.Device = None,
    dtype: options.Dtype = None,
    threads: options.Threads = None,
    exact_activations: cpu_options.ExactActivations = None,
    cpu_features: cpu_options.CpuFeatures = None,
    ctx_size: options.CtxSize = None,
    temperature: own.Temperature = None,
    top_k: options.TopK = None,
    top_p: options.TopP = None,
    min_p: options.MinP = None,
    repeat_penalty: options.RepeatPenalty = None,
    presence_penalty: options.PresencePenalty = None,
    frequency_penalty: options.FrequencyPenalty = None,
    logit_bias: options.LogitBias = None,
    seed: options.Seed = None,
    show_prompt: own.ShowPrompt = False,
    json: own.Json = False,
    stats: options.Stats = False,
    quiet: options.Quiet = False,
    no_color: options.NoColor = False,
) -> None:
    """Answer in the manner of a few examples.

    A base model only continues documents: written after some examples, a query is continued by
    its answer. The same for instruct models, where --as-chat makes turns of the examples. Answers
    are the most probable ones unless --temperature says otherwise, and end where the form of the
    examples has its border. With labels their probabilities are compared instead. What all
    queries share is computed once, and queries run in batches.

    One query is given as an argument or with -f; many come from --queries, or from a pipe, a line
    each. A terminal shows answers beside their queries, a pipe gets an answer a line with new lines
    spelled out, --json a JSON line for each. Where torch computes in bfloat16 or float16, the last
    bits of a probability depend on how many queries run together; --dtype float32 does not.
    """
    settings = settings_of(locals())
    messages = Messages(sys.stderr, quiet=quiet)
    given = gather(preset, examples or [], pairs_of(example), input_field, output_field)
    if not given.examples and shots != 0:
        raise UsageError("--example", "there are no examples", "--shots 0 does without")
    chosen = labels_among(given, label, classify=classify)
    if calibrate and not chosen:
        raise UsageError("--calibrate", "needs labels: --label, --classify, or a preset with them")
    most = settings.new_tokens(DEFAULT_TOKENS)
    request = FewShotRequest(
        examples=given.examples,
        form=form_of(given, instruction, template, separator, as_chat=as_chat),
        shots=shots,
        order=own.order_of(order),
        labels=chosen,
        calibrate=calibrate,
        sampling=options.wish(_bold_only_on_demand(settings), logit_bias),
        max_new_tokens=int(LIMITS["max_new_tokens"].high) if most is None else most,
        stop=generation_options.stops(stop),
        seed=generation_options.seed_of(settings),
    )
    request = replace(request, order_seed=request.seed)
    single = query is not None or prompt_option is not None or bool(file)
    if single + (queries is not None) + (evaluate is not None) > 1:
        raise UsageError("QUERY", "one of QUERY, --queries and --evaluate can be given")
    if evaluate is None:
        _needs_evaluate(match=match, orders=orders, leave_one_out=leave_one_out)
        asked = queries_of(
            query,
            prompt_option,
            file or [],
            queries,
            kind=queries_format,
            field=given.input_field,
            verbatim=verbatim,
        )
        backend = open_for(settings, messages)
        if show_prompt:
            _show_document(backend, request, asked, messages, json=json)
        else:
            many = not single
            _answer(backend, request, asked, settings.model, messages, json, stats, many=many)
    else:
        if show_prompt:
            raise UsageError("--show-prompt", "shows the document of a query, not of --evaluate")
        planned = plan(request, orders=orders, leave_one_out=leave_one_out)
        rows = expected_rows(evaluate, given, chosen, queries_format)
        _evaluate(settings, planned, rows, match or "exact", messages, json, stats)


def _bold_only_on_demand(settings: Settings) -> Settings:
    """An answer is asked for, not a variety of them: the most probable one by default."""
    return settings if settings.temperature is not None else replace(settings, temperature=0.0)


def _needs_evaluate(**given: object) -> None:
    for name, value in given.items():
        if value:
            raise UsageError(f"--{name.replace('_', '-')}", "needs --evaluate FILE")


def _answer(
    backend: Backend,
    request: FewShotRequest,
    asked: Iterator[Query | None],
    model: str,
    messages: Messages,
    json: bool,
    stats: bool,
    *,
    many: bool,
) -> None:
    usage: list[FewShotUsage] = []
    answers = _answers(backend.answer(FewShotQueries(request, asked)), messages, usage)
    if json:
        writer = DataWriter(sys.stdout)
        for answer in answers:
            writer.json(view.as_json(answer, model, request.seed))
    else:
        view.show(answers, sys.stdout, many=many)
    if stats:
        for line in view.stats_lines(usage[0]):
            messages.always(line)


def _answers(
    events: Iterator[FewShotEvent], messages: Messages, usage: list[FewShotUsage]
) -> Iterator[Answer]:
    """The answers among the events; notices are told, what it took is put aside."""
    for event in events:
        if isinstance(event, Answer):
            yield event
        elif isinstance(event, Notice):
            messages.notices([event])
        else:
            usage.append(event)


def _show_document(
    backend: Backend,
    request: FewShotRequest,
    asked: Iterator[Query | None],
    messages: Messages,
    *,
    json: bool,
) -> None:
    first = next(query for query in asked if query is not None)
    document = backend.answer(FewShotDocumentRequest(request, first))
    messages.notices(document.notices)
    if json:
        DataWriter(sys.stdout).json(document_view.as_json(document))
    else:
        document_view.show(document, sys.stdout)


def _evaluate(
    settings: Settings,
    planned: Plan,
    rows: list[Expected],
    match: str,
    messages: Messages,
    json: bool,
    stats: bool,
) -> None:
    backend = open_for(settings, messages)
    found = run(backend, planned, rows, own.match_of(match), messages)
    if json:
        DataWriter(sys.stdout).json(evaluation_view.as_json(found, planned.request, settings.model))
    else:
        evaluation_view.show(found, sys.stdout)
    if stats:
        for line in view.stats_lines(found.usage):
            messages.always(line)
    if found.stopped_by is not None:
        raise found.stopped_by

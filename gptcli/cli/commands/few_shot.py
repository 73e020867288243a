"""`gptcli few-shot`: a few examples in the prompt, and answers in their manner."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, cast

from gptcli.backends import settled
from gptcli.cli.answer_log import AnswerLog
from gptcli.cli.commands.few_shot_answers import answer, show_document
from gptcli.cli.environment import Environment
from gptcli.cli.exports import answer_in
from gptcli.cli.flags.answers import Evaluation, Labels, Queries
from gptcli.cli.flags.batch import OUTPUT, Batch
from gptcli.cli.flags.constraints import Constraints
from gptcli.cli.flags.examples import Examples, ExampleWriting
from gptcli.cli.flags.generation import Generation
from gptcli.cli.flags.groups import but
from gptcli.cli.flags.log import Logging
from gptcli.cli.flags.output import TextOutput
from gptcli.cli.flags.pairs import TakesPairs
from gptcli.cli.flags.source import Spoken
from gptcli.cli.flags.thinking import Switches
from gptcli.cli.input.constraint import constraint_of
from gptcli.cli.input.few_shot_examples import form_of, gather, labels_among
from gptcli.cli.input.few_shot_queries import expected_rows, queries_of
from gptcli.cli.opening import open_for
from gptcli.config import MOST
from gptcli.errors import UsageError
from gptcli.evaluation.few_shot import plan, run
from gptcli.types.compute import Compute
from gptcli.types.evaluation import Match
from gptcli.types.few_shot import (
    FewShotRequest,
    Order,
    Report,
)
from gptcli.types.prompt_cache import PromptCache
from gptcli.types.sampling import SamplingWish, seed_of
from gptcli.ui.terminal.progress import watch_steps
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


_OneQuery = Annotated[
    Spoken,
    but(
        prompt={"metavar": "QUERY", "help": "The input to be answered; - is all of stdin."},
        prompt_option="The input, for scripts.",
        file={
            "help": "Read the input, one for all of it, from a file; - is stdin. Repeatable.",
            "brief": "",
        },
    ),
]


def few_shot(
    environment: Environment,
    source: _OneQuery,
    many: Queries,
    examples: Examples,
    writing: ExampleWriting,
    switches: Switches,
    labels: Labels,
    evaluation: Evaluation,
    generation: Annotated[
        Generation,
        but(
            max_new_tokens="Generate at most N tokens for an answer; -1 for as many as fit."
            f" Default: {DEFAULT_TOKENS}.",
            stop={"brief": ""},
        ),
    ],
    constraints: Annotated[Constraints, but(json_schema={"brief": ""})],
    compute: Compute,
    prompts: PromptCache,
    logging: Logging,
    sampling: Annotated[
        SamplingWish,
        but(
            temperature="How boldly to draw an answer. Default: 0, always the most probable token."
        ),
    ],
    batch: Annotated[Batch, but(batch={"brief": ""}, output=OUTPUT)],
    output: Annotated[
        TextOutput,
        but(
            json="A JSON line for each answer: input, answer, labels, usage; with --evaluate,"
            " one object: accuracy, interval, rows.",
            show_prompt="Print the document that the model would continue for the first query, and"
            " no answer.",
            stream=None,
            logprobs=None,
        ),
    ],
) -> None:
    """Answer in the manner of a few examples.

    A base model only continues documents: written after some examples, a query is continued by
    its answer. The same for instruct models, where --as-chat makes turns of the examples. Answers
    are the most probable ones unless --temperature says otherwise, and end where the form of the
    examples has its border. With labels their probabilities are compared instead. What all
    queries share is computed once, and queries run in batches. Turns are answered without thinking
    where the model's template can be told so, unless --think asks for it; thoughts are no part of
    an answer.

    One query is given as an argument or with -f, and what a pipe brings beside it is part of it, on
    lines before (--no-stdin: it is not). Many come from --queries, or from a pipe alone, a line
    each. A terminal shows answers beside their queries, a pipe gets an answer a line with new lines
    spelled out, --json a JSON line for each. Where torch computes in bfloat16 or float16, the last
    bits of a probability depend on how many queries run together; --dtype float32 does not.
    """
    given = gather(environment, examples)
    if not given.examples and examples.shots != 0:
        raise UsageError("--example", "there are no examples", "--shots 0 does without")
    chosen = labels_among(given, labels)
    if labels.calibrate and not chosen:
        raise UsageError("--calibrate", "needs labels: --label, --classify, or a preset with them")
    most = generation.new_tokens(DEFAULT_TOKENS)
    seed = seed_of(sampling)
    request = FewShotRequest(
        examples=given.examples,
        form=form_of(environment, given, writing, switches),
        shots=examples.shots,
        order=cast(Order, examples.order),
        order_seed=seed,
        labels=chosen,
        calibrate=labels.calibrate,
        sampling=_bold_only_on_demand(sampling),
        max_new_tokens=MOST if most is None else most,
        stop=generation.stop,
        seed=seed,
        constraint=constraint_of(environment, constraints),
    )
    if chosen and request.constraint is not None:
        raise UsageError(request.constraint.flag, "labels are compared, and nothing is written")
    compute = settled(compute)
    ways = (source.named, many.queries is not None, evaluation.evaluate is not None)
    if sum(ways) > 1:
        raise UsageError("QUERY", "one of QUERY, --queries and --evaluate can be given")
    rows_wanted = batch.wanted_or_answer
    if evaluation.evaluate is not None:
        if rows_wanted or batch.output is not None:
            other = "--batch" if rows_wanted else "--output"
            raise UsageError("--evaluate", f"cannot be combined with {other}")
        if output.show_prompt:
            raise UsageError("--show-prompt", "shows the document of a query, not of --evaluate")
        logging.refuse("--evaluate")
        planned = plan(request, orders=evaluation.orders, leave_one_out=evaluation.leave_one_out)
        file, kind = evaluation.evaluate, many.queries_format
        rows = expected_rows(environment, file, given, chosen, kind)
        messages = output.messages(environment)
        match = cast(Match, evaluation.match or "exact")
        task = run(open_for(compute, messages, prompts=prompts), planned, rows, match)
        _report(environment, watch_steps(task, messages, told=True), request, compute, output)
        return
    evaluation.check()
    if rows_wanted:
        from gptcli.cli.batching import looks, running

        batch.refuse(
            *(source,),
            prompt_cache=prompts.asked,
            queries=many.queries,
            show_prompt=output.show_prompt,
            log=logging.asked,
        )
        names = given.input_field, given.output_field
        job = looks.queries(request, *names, sampling, (generation, constraints), compute)
        messages = output.messages(environment)
        running.run_batch(environment, batch, job, messages, stats=output.stats)
        return
    messages = output.messages(environment)
    log = AnswerLog(logging, "few-shot", messages)
    with log.told(), answer_in(environment, batch.output):
        asked = queries_of(environment, source, many, given.input_field, messages)
        backend = open_for(compute, messages, prompts=prompts)
        if output.show_prompt:
            logging.refuse("--show-prompt")
            show_document(environment, backend, request, asked, output)
        else:
            name = compute.model
            answer(environment, backend, request, asked, name, output, log, many=not source.named)


def _bold_only_on_demand(wish: SamplingWish) -> SamplingWish:
    """An answer is asked for, not a variety of them: the most probable one by default."""
    return wish if wish.temperature is not None else replace(wish, temperature=0.0)


def _report(
    environment: Environment,
    found: Report,
    request: FewShotRequest,
    compute: Compute,
    output: TextOutput,
) -> None:
    if output.json:
        environment.data().json(evaluation_view.as_json(found, request, compute.model))
    else:
        evaluation_view.show(found, environment.stdout)
    if output.stats:
        output.messages(environment).report(view.stats_lines(found.usage))
    if found.stopped_by is not None:
        raise found.stopped_by

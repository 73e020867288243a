"""`gptcli ask`: a question in, a value out, for scripts."""

from __future__ import annotations

from typing import Annotated

from gptcli.cli.answer_log import AnswerLog
from gptcli.cli.environment import Environment
from gptcli.cli.exports import answer_in
from gptcli.cli.flags.ask import Asking
from gptcli.cli.flags.batch import OUTPUT, Batch
from gptcli.cli.flags.chat import Chat
from gptcli.cli.flags.groups import but, only
from gptcli.cli.flags.log import Logging
from gptcli.cli.flags.output import CountedOutput
from gptcli.cli.flags.place import Reading
from gptcli.cli.flags.source import Spoken, checked
from gptcli.cli.input.prompt import read_prompt
from gptcli.cli.opening import Clock, open_for
from gptcli.errors import InputError, UncertainError
from gptcli.types.ask import AskRequest
from gptcli.types.compute import Compute
from gptcli.ui.terminal.messages import Messages
from gptcli.ui.terminal.visible import visible
from gptcli.ui.views import ask as view

#: (what it is for, the command), for the man page.
EXAMPLES = (
    ("Yes or no, for a script.", 'gptcli ask --type bool "Is Paris in France?"'),
    (
        "In a condition: exit code 9 where the model is not sure.",
        'label=$(gptcli ask --type choice:spam,ham --fail-below 0.9 -f mail.txt "Spam or ham?")',
    ),
    (
        "A number, and its probability.",
        'gptcli ask --type int --confidence "How many legs has a cat?"',
    ),
    ("A day.", 'gptcli ask --type date "On which day did Apollo 11 land on the Moon?"'),
    (
        "Many questions, a JSON object for each; after whatever stopped it, the same once more.",
        "gptcli ask --type choice:spam,ham --batch mails.jsonl -o labels.jsonl --resume",
    ),
    (
        "A base model continues the text.",
        'gptcli ask -m gpt2 --type choice:good,bad "Review: I loved it. Sentiment:"',
    ),
)


def ask(
    environment: Environment,
    source: Annotated[
        Spoken,
        but(
            prompt={"metavar": "QUESTION", "help": "The question; - reads stdin."},
            prompt_option="The question, for scripts.",
            file={
                "help": "Read the question, or what it is about, from a file; - is stdin."
                " Repeatable.",
                "brief": "",
            },
        ),
    ],
    asking: Asking,
    chatting: Annotated[
        Chat,
        only(
            system="The system prompt, of a model that has a chat form. Default: to answer with a"
            ' value of this type alone; "" says nothing.'
        ),
    ],
    compute: Reading,
    logging: Logging,
    batch: Annotated[Batch, but(output=OUTPUT)],
    output: Annotated[
        CountedOutput,
        but(json="One JSON object: value, text, probability, and the shares of all choices."),
    ],
) -> None:
    """Answer with a value of a type, and nothing else.

    bool prints true or false; its answers are compared as yes and no. Answers that can be counted,
    bool and choice, are compared as `choose` compares them: the probability is the share of one
    among all. An int, a float or a date is taken token by token, always the most probable one that
    a value can go on or end with; its probability is the product of theirs, each among those. A
    model with a chat template is asked in it, any other continues the question. A server continues
    the question where answers can be counted, and answers in a chat else, without a probability.
    """
    system = None if chatting.system is None else checked(chatting.system, "--system")
    messages = output.messages(environment)
    if batch.wanted_or_answer:
        from gptcli.cli.batching import looks, running

        here_only = {"confidence": asking.confidence, "fail_below": asking.fail_below}
        batch.refuse(source, log=logging.asked, **here_only)
        job = looks.values(AskRequest("", asking.type, system), compute)
        running.run_batch(environment, batch, job, messages, stats=output.stats)
        return
    question = read_prompt(
        environment, source, messages, what="question", example='gptcli ask --type bool "Is it?"'
    )
    if not question.strip():
        raise InputError("question", "is empty")
    rated = asking.confidence or asking.fail_below is not None
    request = AskRequest(question, asking.type, system, rated)
    log = AnswerLog(logging, "ask", messages)
    with log.told(), answer_in(environment, batch.output):
        _answer(environment, request, asking, compute, output, log, messages)


def _answer(
    environment: Environment,
    request: AskRequest,
    asking: Asking,
    compute: Compute,
    output: CountedOutput,
    log: AnswerLog,
    messages: Messages,
) -> None:
    clock = Clock()
    found = clock.opened(open_for(compute, messages)).answer(request)
    log.add(
        request,
        model=compute.model,
        prompt=request.question,
        answer=found.printed,
        probability=found.probability,
    )
    if output.stats:
        messages.report(clock.stats(found.source, found.prompt_tokens))
    probability, least = found.probability, asking.fail_below
    if least is not None and probability is not None and probability < least:
        shown = visible(found.printed.encode())
        reason = f"{shown} has a probability of {probability:.3g}"
        raise UncertainError(f"--fail-below {least:g}", reason)
    if output.json:
        environment.data().json(view.as_json(found))
    else:
        view.show(found, environment.stdout, confidence=asking.confidence)

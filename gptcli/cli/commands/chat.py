"""`gptcli chat`: a conversation with a model, and the document behind it."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import Annotated

from gptcli.backends import settled
from gptcli.chat.keeping import Keeping
from gptcli.chat.kept_settings import restored
from gptcli.chat.talk import Talk, Timed, with_system
from gptcli.cli.answer_log import AnswerLog
from gptcli.cli.environment import Environment
from gptcli.cli.exports import answer_in
from gptcli.cli.flags import settings
from gptcli.cli.flags.batch import OUTPUT, Batch
from gptcli.cli.flags.chat import Chat, ChatWriting
from gptcli.cli.flags.constraints import Constraints
from gptcli.cli.flags.generation import DEFAULT_ANSWER_TOKENS, Generation
from gptcli.cli.flags.groups import Given, but
from gptcli.cli.flags.log import Logging
from gptcli.cli.flags.output import TextOutput
from gptcli.cli.flags.place import Anywhere
from gptcli.cli.flags.source import Spoken, checked
from gptcli.cli.flags.templates import Templated
from gptcli.cli.flags.thinking import Thinking
from gptcli.cli.input.constraint import check_whole, constraint_of
from gptcli.cli.input.prompt import read_file
from gptcli.cli.input.session import goes_on, lasting, session_of
from gptcli.cli.input.template_prompt import read_templated
from gptcli.cli.input.transcript_file import chat_form
from gptcli.cli.opening import open_for
from gptcli.cli.repl.answers import answer_once, converse, log_turn, show_document, thoughts, view
from gptcli.cli.repl.switching import Switching
from gptcli.errors import InputError, UsageError
from gptcli.types.chat import ChatRequest
from gptcli.types.prompt_cache import PromptCache
from gptcli.types.sampling import SamplingWish, seed_of
from gptcli.ui.terminal.messages import Messages
from gptcli.ui.views import stats as stats_lines

#: (what it is for, the command), for the man page.
EXAMPLES = (
    ("Talk, in a terminal; /help tells what can be typed.", "gptcli chat"),
    ("One answer, and out.", 'gptcli chat "Name three colours."'),
    (
        "A system prompt, and a text from a pipe before the message.",
        'git diff | gptcli chat -s "You write commit messages." "Write one for this."',
    ),
    (
        "A conversation that goes on tomorrow.",
        'gptcli chat --session travel "Which city should I see in Italy?"',
    ),
    (
        "The exact document that the model continues, by role, with each turn's end.",
        'gptcli chat --show-prompt -s "Be brief." "What is a GPT?"',
    ),
    (
        "A base model: a transcript with names, ended before it speaks for you.",
        'gptcli chat -m gpt2 --user-name Alice --assistant-name Bob "Hello, who are you?"',
    ),
    (
        "OpenAI's batch files: requests in, their results out.",
        "gptcli chat --batch requests.jsonl -o output.jsonl",
    ),
    (
        "A model that thinks first, at most 200 tokens long; its thoughts go to stderr.",
        "gptcli chat -m Qwen/Qwen3-4B-GGUF --think-budget 200 --show-thinking"
        ' "How many r are in strawberry?" > answer.txt',
    ),
    ("For a program.", 'gptcli chat --json --temp 0 "Say hello."'),
)


def typed() -> list[tuple[str, str]]:
    """What a line of a conversation may be, beside a message: for the man page."""
    from gptcli.cli.repl.commands import COMMANDS

    several = ('""", Alt-Enter', "A message of several lines begins, or goes on.")
    names = [(f"/{name}", f"{text[:1].upper()}{text[1:]}.") for name, text in COMMANDS.items()]
    return [several, *names]


SECTIONS = (("IN A CONVERSATION", typed),)


def chat(
    environment: Environment,
    given: Given,
    source: Annotated[
        Spoken,
        but(
            prompt={"metavar": "MESSAGE", "help": "The message; - reads stdin."},
            prompt_option="The message, for scripts.",
        ),
    ],
    templated: Templated,
    chatting: Chat,
    writing: ChatWriting,
    thinking: Thinking,
    generation: Generation,
    constraints: Annotated[Constraints, but(json_schema={"brief": ""})],
    compute: Anywhere,
    prompts: PromptCache,
    logging: Logging,
    sampling: SamplingWish,
    batch: Annotated[Batch, but(output=OUTPUT)],
    output: Annotated[
        TextOutput,
        but(
            json="OpenAI's chat.completion as one JSON object: choices with a message, usage,"
            " seed; with --show-prompt, the document: text, turns and their tokens."
        ),
    ],
) -> None:
    """Talk with a model.

    On a terminal, without a message, a conversation begins; Ctrl-C stops an answer, Ctrl-D leaves.
    With a message, as an argument or from a pipe, one answer is printed. Instruct models get the
    conversation in their own chat template, base models as a transcript. What you write can never
    become a control token. A new turn computes only its own tokens.

    What a model thinks before it answers is no part of the answer: it is shown on a terminal, and
    in --json it is reasoning_content. -n counts both.
    """
    messages = output.messages(environment)
    request = ChatRequest(
        messages=(),
        form=thinking.told(chat_form(environment, writing)),
        sampling=sampling,
        max_new_tokens=generation.new_tokens(DEFAULT_ANSWER_TOKENS),
        stop=generation.stop,
        seed=seed_of(sampling),
        logprobs=output.logprobs,
        drop_oldest=chatting.on_overflow == "drop-oldest",
        think_budget=thinking.think_budget,
        constraint=constraint_of(environment, constraints),
    )
    if output.logprobs is not None and not (output.json or batch.batch):
        raise UsageError("--logprobs", "needs --json")
    if batch.wanted_or_answer:
        from gptcli.cli.batching import running, texts

        not_here = {"session": chatting.session, "show_prompt": output.show_prompt}
        not_here |= {"show_thinking": thinking.show_thinking, "template": templated.prompt}
        not_here |= {"continue": chatting.latest, "log": logging.asked}
        batch.refuse(source, prompt_cache=prompts.asked, **not_here, stream=output.stream)
        request = replace(request, messages=with_system((), _system(environment, chatting)))
        groups = (generation, chatting, writing, thinking, constraints)
        job = texts.chats(request, groups, settled(compute))
        running.run_batch(environment, batch, job, messages, stats=output.stats)
        return
    spoken = _spoken(environment, source, templated, messages)
    scene = _system(environment, chatting)
    session = session_of(chatting)
    said = given | settings.said_by_environment(environment)
    keeping = Keeping()
    log = AnswerLog(logging, "chat", messages)
    with log.told(), closing(keeping), answer_in(environment, batch.output):
        found = keeping.open(session) if session is not None else None
        if found is not None:
            request = restored(request, found, said)
            compute = goes_on(compute, found, said, messages)
        compute = settled(compute)
        keeping.held_with(lasting(compute.model), compute.adapter, compute.steer)
        backend = Timed(lambda: open_for(compute, messages, prompts=prompts))
        if scene is not None:
            # Kept with the first turn: what cannot even begin leaves no session behind.
            request = replace(request, messages=with_system(request.messages, scene))
        talk = Talk(
            *(backend, request),
            model=compute.model,
            keeping=keeping,
            said=said,
            turned=lambda turn: log_turn(log, talk, turn),
        )
        beside = thoughts(environment, thinking, output)
        if spoken is None:
            flags = {"--json": output.json, "--show-prompt": output.show_prompt}
            for flag, on in (flags | {"--output": batch.output is not None}).items():
                if on:
                    raise UsageError(flag, "needs a message")
            log.at_once = True
            more = (templated.around, Switching(compute, prompts, messages))
            converse(environment, talk, backend, messages, beside, *more, stats=output.stats)
        elif output.show_prompt:
            logging.refuse("--show-prompt")
            show_document(environment, talk, spoken, json=output.json, messages=messages)
        else:
            shown = view(environment, compute.model, request, output)
            answer_once(talk, spoken, shown, messages, beside, wait=output.waits)
            if output.stats and talk.last_usage is not None:
                messages.report(stats_lines.lines(talk.last_usage, backend.seconds))
            if talk.last_usage is not None:
                check_whole(talk.last_usage.constraint)


def _spoken(
    environment: Environment, source: Spoken, templated: Templated, messages: Messages
) -> str | None:
    """The message of the command line, None where a person is to type."""
    template = templated.from_template
    whole = template is not None and not template.takes_input
    if not source.named and environment.interactive and not whole:
        if not environment.on_terminal:
            raise UsageError("message", "is missing", 'for example: gptcli chat "Hello" > answer')
        return None
    example = 'gptcli chat "Hello"'
    text = read_templated(environment, source, templated, messages, what="message", example=example)
    if not text.strip():
        raise InputError("message", "is empty")
    return text


def _system(environment: Environment, chatting: Chat) -> str | None:
    """The system prompt of the command line."""
    text, file = chatting.system, chatting.system_file
    if text is not None and file is not None:
        raise UsageError("--system", "is given with --system-file as well")
    if file is not None:
        found = read_file(environment, file)
        if not found.strip():
            raise InputError(str(file), "is empty")
        return found
    return None if text is None else checked(text, "--system")

"""`gptcli chat`: a conversation with a model, and the document behind it."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import Annotated

from gptcli import config
from gptcli.backends import ECHO, settled
from gptcli.chat.keeping import Keeping
from gptcli.chat.kept_settings import restored
from gptcli.chat.talk import Talk, Timed, with_system
from gptcli.cli.environment import Environment
from gptcli.cli.flags import settings
from gptcli.cli.flags.batch import Batch
from gptcli.cli.flags.chat import Chat, ChatWriting
from gptcli.cli.flags.constraints import Constraints
from gptcli.cli.flags.generation import DEFAULT_ANSWER_TOKENS, Generation
from gptcli.cli.flags.groups import Given, but
from gptcli.cli.flags.output import TextOutput
from gptcli.cli.flags.place import Anywhere
from gptcli.cli.flags.source import Spoken, checked
from gptcli.cli.input.constraint import check_whole, constraint_of
from gptcli.cli.input.prompt import read_file, read_prompt
from gptcli.cli.input.session import goes_on, lasting
from gptcli.cli.input.transcript_file import chat_form
from gptcli.cli.opening import open_for
from gptcli.errors import InputError, UsageError
from gptcli.types.chat import ChatRequest
from gptcli.types.prompt_cache import PromptCache
from gptcli.types.sampling import SamplingWish, seed_of
from gptcli.ui.terminal.messages import Messages
from gptcli.ui.views import chat_document as document_view
from gptcli.ui.views import stats as stats_lines
from gptcli.ui.views.completion import (
    AsJson,
    AsText,
    ChatObject,
    CompletionView,
    OnTerminal,
    chunks,
)
from gptcli.ui.views.completion import at_once as when_done
from gptcli.units import counted

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
    chatting: Chat,
    writing: ChatWriting,
    generation: Generation,
    constraints: Annotated[Constraints, but(json_schema={"brief": ""})],
    compute: Anywhere,
    prompts: PromptCache,
    sampling: SamplingWish,
    batch: Batch,
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
    """
    messages = output.messages(environment)
    request = ChatRequest(
        messages=(),
        form=chat_form(environment, writing),
        sampling=sampling,
        max_new_tokens=generation.new_tokens(DEFAULT_ANSWER_TOKENS),
        stop=generation.stop,
        seed=seed_of(sampling),
        logprobs=output.logprobs,
        drop_oldest=chatting.on_overflow == "drop-oldest",
        constraint=constraint_of(environment, constraints),
    )
    if output.logprobs is not None and not (output.json or batch.batch):
        raise UsageError("--logprobs", "needs --json")
    if batch.wanted:
        from gptcli.cli.batching import running, texts

        not_here = {"session": chatting.session, "show_prompt": output.show_prompt}
        batch.refuse(source, prompt_cache=prompts.asked, **not_here, stream=output.stream)
        request = replace(request, messages=with_system((), _system(environment, chatting)))
        job = texts.chats(request, (generation, chatting, writing, constraints), settled(compute))
        running.run_batch(environment, batch, job, messages, stats=output.stats)
        return
    spoken = _spoken(environment, source)
    scene = _system(environment, chatting)
    session = chatting.session
    said = given | settings.said_by_environment(environment)
    keeping = Keeping()
    with closing(keeping):
        found = keeping.open(session) if session is not None else None
        if found is not None:
            request = restored(request, found, said)
            compute = goes_on(compute, found, said, messages)
        compute = settled(compute)
        keeping.held_with(lasting(compute.model), compute.adapter)
        backend = Timed(lambda: open_for(compute, messages, prompts=prompts))
        if scene is not None:
            # Kept with the first turn: what cannot even begin leaves no session behind.
            request = replace(request, messages=with_system(request.messages, scene))
        talk = Talk(backend, request, model=compute.model, keeping=keeping, said=said)
        if spoken is None:
            if output.json or output.show_prompt:
                raise UsageError("--json" if output.json else "--show-prompt", "needs a message")
            _converse(environment, talk, backend, messages, stats=output.stats)
        elif output.show_prompt:
            _show_document(environment, talk, spoken, json=output.json, messages=messages)
        else:
            view = _view(environment, compute.model, request, output)
            _answer_once(talk, spoken, view, messages, wait=output.waits)
            if output.stats and talk.last_usage is not None:
                messages.report(stats_lines.lines(talk.last_usage, backend.seconds))
            if talk.last_usage is not None:
                check_whole(talk.last_usage.constraint)


def _spoken(environment: Environment, source: Spoken) -> str | None:
    """The message of the command line, None where a person is to type."""
    if not source.named and environment.interactive:
        if not environment.on_terminal:
            raise UsageError("message", "is missing", 'for example: gptcli chat "Hello" > answer')
        return None
    text = read_prompt(environment, source, what="message", example='gptcli chat "Hello"')
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


def _view(
    environment: Environment, model: str, request: ChatRequest, output: TextOutput
) -> CompletionView:
    if output.json:
        lines, logprobs = bool(output.stream), request.logprobs is not None
        form = ChatObject(model=model, seed=request.seed, lines=lines, logprobs=logprobs)
        return AsJson(environment.data(), form, lines=lines)
    if environment.on_terminal:
        return OnTerminal(environment.terminal(), samples=1, echo="")
    return AsText(environment.data(), separator="\n", echo="")


def _answer_once(
    talk: Talk, message: str, view: CompletionView, messages: Messages, *, wait: bool
) -> None:
    events = chunks(talk.ask(message), messages)
    view.show(when_done(events) if wait else events)
    if talk.was_cut and talk.last_usage is not None and talk.last_usage.constraint is None:
        tokens = counted(talk.last_usage.completion_tokens, "token")
        messages.hint(f"answer: cut off after {tokens}; -n allows more")


def _show_document(
    environment: Environment, talk: Talk, message: str, *, json: bool, messages: Messages
) -> None:
    document = talk.document_with(message)
    messages.notices(document.notices)
    if json:
        environment.data().json(document_view.as_json(document))
    else:
        document_view.show(document, environment.stdout)


def _converse(
    environment: Environment, talk: Talk, backend: Timed, messages: Messages, *, stats: bool
) -> None:
    """The conversation on a terminal."""
    from gptcli.cli.repl.commands import COMMANDS, arguments_of
    from gptcli.cli.repl.loop import Repl
    from gptcli.ui.terminal.line_editor import LineEditor

    # Loaded before the first line is read: a model that cannot be opened is told at once.
    backend()
    if talk.model == ECHO:
        messages.hint("echo: repeats what you say")
    history = config.data_dir() / "chat_history"
    assert environment.stdin is not None
    streams = environment.stdin, environment.stdout
    lines = LineEditor(*streams, history, commands=COMMANDS, arguments=arguments_of)
    messages.info(f"{talk.model}: /help for help, Ctrl-D leaves")
    if talk.keeping.name is not None and talk.messages:
        before = counted(len(talk.messages), "message")
        messages.info(f"session {talk.keeping.name} goes on after {before}; /show has all")

    def after() -> list[str]:
        usage = talk.last_usage
        return stats_lines.lines(usage) if stats and usage is not None else []

    Repl(environment, talk, lines, messages, stats=after).run()

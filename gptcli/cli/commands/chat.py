"""`gptcli chat`: a conversation with a model, and the document behind it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from gptcli import config
from gptcli.backends import ECHO
from gptcli.chat import sessions
from gptcli.chat.keeping import Keeper, restored
from gptcli.chat.sessions import Session
from gptcli.chat.talk import Talk, Timed, with_system
from gptcli.cli.flags import (
    adapter as adapter_options,
)
from gptcli.cli.flags import (
    chat as chat_options,
)
from gptcli.cli.flags import (
    common as options,
)
from gptcli.cli.flags import (
    cpu as cpu_options,
)
from gptcli.cli.flags import (
    generation as generation_options,
)
from gptcli.cli.input.prompt import checked, is_interactive, read_file, read_prompt
from gptcli.cli.input.transcript_file import chat_form
from gptcli.cli.opening import open_for, settings_of
from gptcli.config import Settings
from gptcli.errors import InputError, UsageError
from gptcli.types.chat import ChatRequest
from gptcli.types.completion import Usage
from gptcli.ui.data.writer import DataWriter
from gptcli.ui.terminal.messages import Messages
from gptcli.ui.terminal.writer import TerminalWriter
from gptcli.ui.views import chat_document as document_view
from gptcli.ui.views import stats as stats_lines
from gptcli.ui.views.completion import AsChatJson, AsText, CompletionView, OnTerminal, chunks
from gptcli.ui.views.completion import at_once as when_done

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
    message: chat_options.Message = None,
    prompt_option: chat_options.MessageOption = None,
    file: options.PromptFile = None,
    verbatim: options.Verbatim = False,
    system: chat_options.System = None,
    system_file: chat_options.SystemFile = None,
    session: chat_options.SessionName = None,
    on_overflow: chat_options.OnOverflow = "error",
    chat_template: chat_options.ChatTemplate = None,
    transcript: chat_options.Transcript = None,
    user_name: chat_options.UserName = None,
    assistant_name: chat_options.AssistantName = None,
    max_new_tokens: generation_options.MaxNewTokens = None,
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
    temperature: options.Temperature = None,
    top_k: options.TopK = None,
    top_p: options.TopP = None,
    min_p: options.MinP = None,
    repeat_penalty: options.RepeatPenalty = None,
    presence_penalty: options.PresencePenalty = None,
    frequency_penalty: options.FrequencyPenalty = None,
    logit_bias: options.LogitBias = None,
    seed: options.Seed = None,
    show_prompt: chat_options.ShowPrompt = False,
    stream: generation_options.Stream = None,
    json: options.Json = False,
    logprobs: generation_options.Logprobs = None,
    stats: options.Stats = False,
    quiet: options.Quiet = False,
    no_color: options.NoColor = False,
) -> None:
    """Talk with a model.

    On a terminal, without a message, a conversation begins; Ctrl-C stops an answer, Ctrl-D leaves.
    With a message, as an argument or from a pipe, one answer is printed. Instruct models get the
    conversation in their own chat template, base models as a transcript. What you write can never
    become a control token. A new turn computes only its own tokens.
    """
    settings = settings_of(locals())
    messages = Messages(sys.stderr, quiet=quiet)
    request = ChatRequest(
        messages=(),
        form=chat_form(chat_template, transcript, user_name, assistant_name),
        sampling=options.wish(settings, logit_bias),
        max_new_tokens=settings.new_tokens(config.DEFAULT_ANSWER_TOKENS),
        stop=generation_options.stops(stop),
        seed=generation_options.seed_of(settings),
        logprobs=logprobs,
        drop_oldest=on_overflow == "drop-oldest",
    )
    if logprobs is not None and not json:
        raise UsageError("--logprobs", "needs --json")
    spoken = _spoken(message, prompt_option, file or [], verbatim)
    scene = _system(system, system_file)
    with ExitStack() as stack:
        found = stack.enter_context(_session(session))
        if found is not None:
            request = restored(request, found)
            if model is None and found.model:
                settings = replace(settings, model=found.model)
            if seed is None and isinstance(found.settings.get("seed"), int):
                request = replace(request, seed=found.settings["seed"])
        backend = Timed(lambda: open_for(settings, messages))
        keep = None
        if session is not None:
            keep = Keeper(session, settings.model, found.created if found else None)
        if scene is not None:
            # Kept with the first turn: what cannot even begin leaves no session behind.
            request = replace(request, messages=with_system(request.messages, scene))
        talk = Talk(backend, request, model=settings.model, keep=keep, session=session)
        if spoken is None:
            if json or show_prompt:
                raise UsageError("--json" if json else "--show-prompt", "needs a message")
            _converse(talk, backend, settings, messages, stats=stats)
        elif show_prompt:
            _show_document(talk, spoken, json=json, messages=messages)
        else:
            view = _view(settings, request, json=json, lines=bool(stream))
            wait = stream is False and not json
            _answer_once(talk, spoken, view, messages, wait=wait)
            if stats and talk.last_usage is not None:
                _print_stats(messages, talk.last_usage, backend.seconds)


def _spoken(
    argument: str | None, option: str | None, files: list[Path], verbatim: bool
) -> str | None:
    """The message of the command line, None where a person is to type."""
    given = argument is not None or option is not None or files
    if not given and is_interactive():
        if not sys.stdout.isatty():
            raise UsageError("message", "is missing", 'for example: gptcli chat "Hello" > answer')
        return None
    example = 'gptcli chat "Hello"'
    text = read_prompt(argument, option, files, verbatim=verbatim, what="message", example=example)
    if not text.strip():
        raise InputError("message", "is empty")
    return text


def _system(text: str | None, file: Path | None) -> str | None:
    """The system prompt of the command line."""
    if text is not None and file is not None:
        raise UsageError("--system", "is given with --system-file as well")
    if file is not None:
        found = read_file(file)
        if not found.strip():
            raise InputError(str(file), "is empty")
        return found
    return None if text is None else checked(text, "--system")


@contextmanager
def _session(name: str | None) -> Iterator[Session | None]:
    """The session of that name, held for us alone; None for a new one."""
    if name is None:
        yield None
        return
    with sessions.held(name):
        yield sessions.load(name)


def _view(settings: Settings, request: ChatRequest, *, json: bool, lines: bool) -> CompletionView:
    if json:
        return AsChatJson(
            DataWriter(sys.stdout),
            model=settings.model,
            seed=request.seed,
            lines=lines,
            logprobs=request.logprobs is not None,
        )
    if sys.stdout.isatty():
        return OnTerminal(TerminalWriter(sys.stdout), samples=1, echo="")
    return AsText(DataWriter(sys.stdout), separator="\n", echo="")


def _answer_once(
    talk: Talk, message: str, view: CompletionView, messages: Messages, *, wait: bool
) -> None:
    events = chunks(talk.ask(message), messages)
    view.show(when_done(events) if wait else events)
    if talk.was_cut and talk.last_usage is not None:
        tokens = talk.last_usage.completion_tokens
        messages.hint(f"answer: cut off after {tokens} tokens; -n allows more")


def _show_document(talk: Talk, message: str, *, json: bool, messages: Messages) -> None:
    document = talk.document_with(message)
    messages.notices(document.notices)
    if json:
        DataWriter(sys.stdout).json(document_view.as_json(document))
    else:
        document_view.show(document, sys.stdout)


def _print_stats(messages: Messages, usage: Usage, ready: float) -> None:
    for line in stats_lines.lines(usage, ready):
        messages.always(line)


def _converse(
    talk: Talk, backend: Timed, settings: Settings, messages: Messages, *, stats: bool
) -> None:
    """The conversation on a terminal."""
    from gptcli.cli.repl.commands import arguments_of
    from gptcli.cli.repl.loop import COMMANDS, Repl
    from gptcli.ui.terminal.line_editor import LineEditor

    # Loaded before the first line is read: a model that cannot be opened is told at once.
    backend()
    if settings.model == ECHO:
        messages.hint("echo: repeats what you say")
    history = config.data_dir() / "chat_history"
    lines = LineEditor(history=history, commands=COMMANDS, arguments=arguments_of)
    messages.info(f"{settings.model}: /help for help, Ctrl-D leaves")
    if talk.session is not None and talk.messages:
        count = len(talk.messages)
        messages.info(f"session {talk.session} goes on after {count} messages; /show shows them")

    def after() -> list[str]:
        usage = talk.last_usage
        return stats_lines.lines(usage) if stats and usage is not None else []

    Repl(talk, lines, messages, stats=after).run()

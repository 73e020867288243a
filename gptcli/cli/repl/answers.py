"""`gptcli chat`: an answer, a document, or a whole conversation, as they are shown."""

from __future__ import annotations

from collections.abc import Callable

from gptcli import config
from gptcli.backends import ECHO
from gptcli.chat.talk import Talk, Timed, Turn
from gptcli.cli.answer_log import AnswerLog
from gptcli.cli.environment import Environment
from gptcli.cli.flags.output import TextOutput
from gptcli.cli.flags.thinking import Thinking
from gptcli.cli.repl.switching import Switching
from gptcli.types.chat import ChatRequest
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
from gptcli.ui.views.thinking import Mode, ThinkingView
from gptcli.units import counted


def view(
    environment: Environment, model: str, request: ChatRequest, output: TextOutput
) -> CompletionView:
    """What shows an answer."""
    if output.json:
        lines, logprobs = bool(output.stream), request.logprobs is not None
        form = ChatObject(model=model, seed=request.seed, lines=lines, logprobs=logprobs)
        return AsJson(environment.data(), form, lines=lines)
    if environment.on_terminal:
        return OnTerminal(environment.terminal(), samples=1, echo="")
    return AsText(environment.data(), separator="\n", echo="")


def thoughts(environment: Environment, thinking: Thinking, output: TextOutput) -> ThinkingView:
    """What shows thoughts on stderr: to whoever asks for it, and who looks at the answer."""
    watched = environment.on_terminal and not (output.json or output.quiet)
    shown = watched if thinking.show_thinking is None else thinking.show_thinking
    left: Mode = "folded" if watched else "left out"
    return ThinkingView(environment.stderr, "shown" if shown else left)


def answer_once(
    talk: Talk,
    message: str,
    view: CompletionView,
    messages: Messages,
    thoughts: ThinkingView,
    *,
    wait: bool,
) -> None:
    """One answer, and out."""
    events = chunks(talk.ask(message), messages)
    view.show(thoughts.beside(when_done(events) if wait else events))
    if talk.was_cut and talk.last_usage is not None:
        tokens = counted(talk.last_usage.completion_tokens, "token")
        messages.hint(f"answer: cut off after {tokens}; -n allows more")


def log_turn(log: AnswerLog, talk: Talk, turn: Turn) -> None:
    """Have a turn in the log: the message, not those before it, which have lines of their own."""
    log.add(
        turn.request,
        model=talk.model,
        prompt=turn.message,
        answer=turn.answer,
        system=talk.system,
        conversation=talk.id,
        turn=turn.number,
        session=talk.keeping.name,
        reasoning_content=turn.thinking or None,
        finish_reason=turn.finish_reason,
        seed=turn.seed,
        usage=turn.usage,
    )


def show_document(
    environment: Environment, talk: Talk, message: str, *, json: bool, messages: Messages
) -> None:
    """The document that an answer would continue."""
    document = talk.document_with(message)
    messages.notices(document.notices)
    if json:
        environment.data().json(document_view.as_json(document))
    else:
        document_view.show(document, environment.stdout)


def converse(
    environment: Environment,
    talk: Talk,
    backend: Timed,
    messages: Messages,
    thoughts: ThinkingView,
    around: Callable[[str], str],
    switching: Switching,
    *,
    stats: bool,
) -> None:
    """The conversation on a terminal; around: what is said where a line is typed."""
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

    repl = Repl(
        *(environment, talk, lines, messages, thoughts),
        around=around,
        switching=switching,
        stats=after,
    )
    repl.run()

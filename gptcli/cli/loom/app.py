"""The screen of prompt_toolkit: keys in, lines out, and what is typed in between."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from prompt_toolkit.application import Application
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.layout import (
    BufferControl,
    DynamicContainer,
    FormattedTextControl,
    HSplit,
    Layout,
    UIControl,
    VSplit,
    Window,
)
from prompt_toolkit.layout.dimension import Dimension
from prompt_toolkit.layout.processors import BeforeInput
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.styles import Style

from gptcli.backends import Backend
from gptcli.cli.environment import Environment
from gptcli.cli.loom import screen
from gptcli.cli.loom.grower import Grower, Heard
from gptcli.cli.loom.keys import KEYS, Key
from gptcli.cli.loom.moves import Ask
from gptcli.cli.loom.weaver import Weaver
from gptcli.errors import GptcliError
from gptcli.ui.terminal.toolkit import toolkit_streams

#: How long the rest of a key's sequence may take, in seconds: a lone Esc has none.
_PATIENCE = 0.05
#: Tokens come faster than anyone reads.
_FRAME = 0.04


class App:
    """Draws what a Weaver knows, and hands it the keys."""

    def __init__(
        self, environment: Environment, weaver: Weaver, backend: Backend, model: str
    ) -> None:
        assert environment.stdin is not None
        self._weaver = weaver
        self._asking: Ask | None = None
        typed, self._output = toolkit_streams(environment.stdin, environment.stdout)
        self._line, self._text = Buffer(multiline=False), Buffer(multiline=True)
        self._windows = _Windows(weaver, model, self._sizes_now, self._line, self._text)
        self._app: Application[None] = Application(
            layout=Layout(self._windows.frame, focused_element=self._windows.tree),
            key_bindings=self._keys(),
            style=Style.from_dict(screen.STYLES),
            full_screen=True,
            min_redraw_interval=_FRAME,
            color_depth=ColorDepth.MONOCHROME if environment.variables.get("NO_COLOR") else None,
            input=typed,
            output=self._output,
        )
        self._app.ttimeoutlen = self._app.timeoutlen = _PATIENCE
        self._grower = Grower(backend, self._hear)
        weaver.start, weaver.stop_model = self._grower.start, self._grower.stop
        weaver.judges = self._grower.judges

    def run(self) -> None:
        """Until one leaves. What a model is writing then is stopped, and what came stays."""
        try:
            self._app.run(pre_run=self._watch, set_exception_handler=False)
        finally:
            self._grower.close()
            if self._weaver.tale.growing:
                self._weaver.tale.settle()

    def _watch(self) -> None:
        """A fault anywhere ends it, as faults do elsewhere; prompt_toolkit would wait for a key."""

        def end(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
            error = context.get("exception")
            if error is not None and self._app.is_running and not self._app.is_done:
                self._app.exit(exception=error)

        asyncio.get_running_loop().set_exception_handler(end)

    def _sizes_now(self) -> screen.Sizes:
        size = self._output.get_size()
        return screen.Sizes.of(size.columns, size.rows)

    def _hear(self, event: Heard) -> None:
        """From the model's thread: to be taken in where keys are."""
        loop = self._app.loop
        if loop is not None:
            # It is closed where one has left meanwhile.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._do, lambda: self._weaver.heard(event))

    def _do(self, deed: Callable[[], None]) -> None:
        """A deed, and what follows of it for the screen; errors are said."""
        try:
            deed()
        except GptcliError as error:
            self._weaver.say(str(error))
        self._begin_asking()
        if self._weaver.over and self._app.is_running and not self._app.is_done:
            self._app.exit()
        self._app.invalidate()

    def _keys(self) -> KeyBindings:
        keys, weaver = KeyBindings(), self._weaver
        asked = Condition(lambda: weaver.asked is not None)
        helping = Condition(lambda: weaver.helping)
        lines = Condition(lambda: weaver.asked is not None and weaver.asked.lines)

        def bind(key: Key) -> None:
            def press(_: KeyPressEvent) -> None:
                weaver.say("")
                self._do(lambda: key.press(weaver))

            for name in key.names:
                keys.add(name, filter=~asked & ~helping)(press)

        for key in KEYS:
            bind(key)
        # Whatever is pressed, what one reads here is done with.
        for name in ("<any>", "<sigint>"):
            keys.add(name, filter=helping)(lambda _: weaver.help())
        keys.add("enter", filter=asked)(lambda _: self._asked_for(keep=True))
        for name in ("escape", "c-c", "<sigint>"):
            keys.add(name, filter=asked)(lambda _: self._asked_for(keep=False))
        keys.add("escape", "enter", filter=lines)(lambda _: self._text.insert_text("\n"))
        return keys

    def _begin_asking(self) -> None:
        """Have what is asked for typed, where that is new: a key may ask, or a model's end."""
        before, self._asking = self._asking, self._weaver.asked
        asked = self._asking
        if asked is not None and asked is not before:
            buffer = self._text if asked.lines else self._line
            buffer.set_document(Document(asked.text), bypass_readonly=True)
            self._app.layout.focus(buffer)

    def _asked_for(self, *, keep: bool) -> None:
        asked, self._weaver.asked = self._weaver.asked, None
        self._asking = None
        assert asked is not None
        self._app.layout.focus(self._windows.tree)
        if keep:
            typed = (self._text if asked.lines else self._line).text
            # Bytes that are no character came as halves of some.
            text = typed.encode(errors="replace").decode()
            self._do(lambda: asked.then(text))


class _Windows:
    """Where on the screen everything is."""

    def __init__(
        self,
        weaver: Weaver,
        model: str,
        sizes: Callable[[], screen.Sizes],
        line: Buffer,
        text: Buffer,
    ) -> None:
        def one(draw: Callable[[Weaver, screen.Sizes], screen.Fragments]) -> Window:
            return Window(FormattedTextControl(lambda: draw(weaver, sizes())), height=1)

        def asked(*, lines: bool) -> bool:
            return weaver.asked is not None and weaver.asked.lines == lines

        def window(content: UIControl, part: str, *, wraps: bool, cursor: bool = False) -> Window:
            return Window(
                content,
                width=lambda: Dimension.exact(getattr(sizes(), part)[0]),
                height=lambda: Dimension.exact(getattr(sizes(), part)[1]),
                wrap_lines=wraps,
                always_hide_cursor=not cursor,
            )

        drawn = FormattedTextControl(lambda: screen.tree(weaver, sizes()), focusable=True)
        self.tree = window(drawn, "tree", wraps=False)
        read = FormattedTextControl(lambda: screen.text(weaver, sizes()))
        reading = window(read, "text", wraps=True)
        editing = window(BufferControl(text), "text", wraps=True, cursor=True)
        part = DynamicContainer(lambda: editing if asked(lines=True) else reading)
        below, beside = (
            Window(char="─", height=1, style="class:rule"),
            Window(char="│", width=1, style="class:rule"),
        )
        above, across = HSplit([self.tree, below, part]), VSplit([self.tree, beside, part])
        told = Window(FormattedTextControl(lambda: screen.helped(weaver, sizes())))

        def body() -> Window | HSplit | VSplit:
            return told if weaver.helping else across if sizes().wide else above

        label = BeforeInput(lambda: weaver.asked.label if weaver.asked else "")
        typing = Window(BufferControl(line, input_processors=[label]), height=1)
        bottom = one(screen.bottom)
        self.frame = HSplit(
            [
                one(lambda weaver, sizes: screen.title(weaver, model, sizes)),
                DynamicContainer(body),
                one(screen.about),
                DynamicContainer(lambda: typing if asked(lines=False) else bottom),
            ]
        )

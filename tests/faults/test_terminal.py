"""No text drives a terminal: whatever it says, wherever it comes from, however it is cut."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gptcli.chat import sessions
from gptcli.chat.sessions import Session
from gptcli.loom import Piece, Tale, Way, write_file
from gptcli.models import hub, manifest, pip_download
from gptcli.types.chat import Message
from gptcli.types.events import Progress
from gptcli.types.token import Source
from gptcli.ui.terminal.messages import Messages
from gptcli.ui.terminal.progress import counting, watch
from gptcli.ui.terminal.stream import with_variables
from gptcli.ui.terminal.writer import TerminalWriter
from tests.conftest import CHAT_TEMPLATE, with_context
from tests.faults.terminals import OURS, UNTOUCHED, drives, drives_us, shown, state, terminal

#: Known attacks: each is a sequence that some terminal obeys.
ATTACKS = {
    "title": "\x1b]0;TAKEN\x07",
    "title-8-bit": "\u009d2;TAKEN\u009c",
    "icon": "\x1b]1;TAKEN\x1b\\",
    "clipboard": "\x1b]52;c;cm0gLXJmIH4=\x07",
    "link": "\x1b]8;;http://evil.example\x1b\\bank.example\x1b]8;;\x1b\\",
    "palette": "\x1b]4;1;rgb:00/00/00\x07",
    "notify": "\x1b]777;notify;a;b\x07",
    "iterm-file": "\x1b]1337;File=name=eA==:AAAA\x07",
    "cursor-style": "\x1b[5 q",
    "answerback": "\x05",
    "device": "\x1b[c",
    "position": "\x1b[6n",
    "title-report": "\x1b[21t",
    "settings-report": "\x1bP$q q\x1b\\",
    "tmux": "\x1bPtmux;\x1b\x1b]0;TAKEN\x07\x1b\\",
    "sixel": "\x1bPq#0;2;0;0;0~-\x1b\\",
    "apc": "\x1b_Ga=T;AAAA\x1b\\",
    "pm": "\x1b^x\x1b\\",
    "clear": "\x1b[2J\x1b[3J",
    "home": "\x1b[5;5H",
    "reset": "\x1bc",
    "soft-reset": "\x1b[!p",
    "conceal": "\x1b[8mhidden\x1b[28m",
    "paste": "\x1b[?2004h",
    "mouse": "\x1b[?1000h\x1b[?1006h",
    "screen": "\x1b[?47h",
    "insert": "\x1b[4h",
    "graphics": "\x1b(0\x0e",
    "scroll": "\x1b[1;2r",
    "csi-8-bit": "\u009b2J",
    "dcs-8-bit": "\u0090$q q\u009c",
    "overwrite": "rm -rf\rls    ",
    "backspace": "evil\b\b\b\bgood",
    "unfinished": "\x1b[",
    "bidi": "a\u202egpj.exe\u202c \u2067x\u2069 \u200f\u200e\u061c",
    "invisible": "a\u200bb\u2060c\xadd\u034fe\u180ef\u206ag\u3164h\ufeffi\uffa0j\u115fk",
    "hidden-bytes": "a\U000e0101\ufe01\U000e0061\U000e007f",
    "annotation": "a\ufff9b\ufffac\ufffb",
    "lines": "a-rf\u2028b\u2029c",
}
C0 = "".join(map(chr, [*range(1, 9), *range(11, 32), 127]))
C1 = "".join(map(chr, range(0x80, 0xA0)))
#: In few words, since names of files hold 255 bytes.
TOGETHER = {
    "c0": C0,
    "c1": C1,
    "title": ATTACKS["title"] + ATTACKS["clear"] + ATTACKS["conceal"],
    "clipboard": ATTACKS["clipboard"] + ATTACKS["link"],
    "modes": ATTACKS["paste"] + ATTACKS["mouse"] + ATTACKS["insert"] + ATTACKS["graphics"],
    "reports": ATTACKS["device"] + ATTACKS["settings-report"] + ATTACKS["csi-8-bit"],
    "unseen": ATTACKS["bidi"] + ATTACKS["invisible"] + ATTACKS["hidden-bytes"],
    "annotation": ATTACKS["annotation"] + ATTACKS["lines"],
}
#: Those that the screen here understands well enough to show what would have happened.
OBEYED = (
    *("title", "title-8-bit", "icon", "device", "position", "reset", "paste", "mouse", "insert"),
    "scroll",
)


@pytest.mark.parametrize("name", OBEYED)
def test_the_attacks_are_attacks(name: str) -> None:
    """The fault itself: written as they are, they change the title, a mode, or make it answer."""
    assert state(ATTACKS[name]) != UNTOUCHED
    assert all(drives(each) for each in (*ATTACKS.values(), *TOGETHER.values()))


def check(written: str, payload: str) -> None:
    """Nothing drove the terminal, and the text was there to do it."""
    assert not drives_us(written), ascii(written)
    after = state(written)
    assert after == UNTOUCHED
    assert payload not in OURS.sub("", written)
    # A word of it, or a character spelled out, made it to the screen.
    assert any(each in written for each in ("TAKEN", "\\", "-rf")), written


def named(place: Path, payload: str) -> str:
    """A name for a file in a place, as a path that begins with it."""
    return f"{place}/{payload.replace('/', '|')}"[:240]


class Around:
    """What ways of a text to a terminal need: models, places, what may be replaced."""

    def __init__(self, model: Path, chat: Path, place: Path, patch: pytest.MonkeyPatch) -> None:
        self.model, self.chat, self.place, self.patch = str(model), str(chat), place, patch

    def copy(self, **files: str) -> str:
        """The model in another directory, with other texts in some of its files."""
        to = self.place / f"copy-{len(list(self.place.iterdir()))}"
        shutil.copytree(self.model, to)
        for name, text in files.items():
            (to / name.replace("__", ".")).write_text(text)
        return str(to)

    def config(self, **changes: Any) -> str:
        """The model with another config.json."""
        config = json.loads(Path(self.model, "config.json").read_text())
        return self.copy(config__json=json.dumps(config | changes))


def _model_name(around: Around, payload: str) -> str:
    path = named(around.place, payload)
    shutil.copytree(around.model, path)
    return path


def _tensor(around: Around, payload: str) -> str:
    import numpy as np
    from safetensors.numpy import load_file, save_file

    path = around.copy()
    file = Path(path, "model.safetensors")
    save_file(load_file(file) | {payload: np.zeros(3, np.float32)}, file)
    return path


def _session(around: Around, payload: str) -> str:
    said, made = (Message("user", payload),), "2026-01-01T00:00:00"
    sessions.save(Session("kept", messages=said, model=payload, created=made, updated=made))
    return "kept"


def _licence(around: Around, payload: str) -> str:
    path = around.copy()
    manifest.write(Path(path), manifest.Manifest("x", payload, payload, {}))
    Path(path, "README.md").write_text(f"---\nlicense: {payload}\n---\n")
    return path


def _hub_says(around: Around, payload: str) -> str:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(payload)

    around.patch.setattr("huggingface_hub.HfApi.model_info", fail)
    assert hub
    return shown("complete", "-m", "org/name", "a")


def _pip_says(around: Around, payload: str) -> str:
    code = f"import sys; sys.stderr.write({f'ERROR: {payload}'!r}); sys.exit(1)"
    said = [sys.executable, "-X", "utf8", "-c", code]
    around.patch.setattr(pip_download, "_command", lambda *_: said)
    return shown("complete", "-m", "smollm2", "a")


def _template(around: Around, payload: str) -> str:
    text = f"{{{{ raise_exception({payload!r}) }}}}"
    settings = json.dumps({"eos_token": "<|end|>", "chat_template": text})
    return around.copy(tokenizer_config__json=settings)


def _progress(around: Around, payload: str) -> str:
    def task() -> Any:
        for done in range(3):
            yield Progress(f"[link=http://x]{payload}", done, 3)

    with terminal() as (end, written):
        with open(end, "w", encoding="utf-8", closefd=False) as out:
            messages = Messages(with_variables(out, {"TERM": "xterm-256color", "COLUMNS": "250"}))
            watch(task(), messages)
            with counting(payload, 2, messages) as step:
                step()
        return written()


def _history(around: Around, payload: str) -> str:
    return shown("chat", "--show-prompt", "-m", around.chat, "-s", payload, payload)


def _tree(around: Around, payload: str) -> str:
    tale = Tale(payload, 0)
    way = Way(Source(payload, "cpu", payload), {})
    (at,) = tale.begin(0, 1, way)
    tale.grow(at, payload, [Piece(payload.encode(), -1.0)])
    tale.settle()
    path = around.place / "tale.json"
    write_file(path, tale)
    forms = ("--quiet", "--dot", "--markdown", "--json", "--html=-")
    return "".join(shown("loom", "--save", str(path), form) for form in forms)


def _place(around: Around, payload: str) -> str:
    around.patch.setenv("GPTCLI_DATA_DIR", f"{__file__}/{payload}")
    return shown("chat", "-m", "echo", "--session", "a", "b")


#: Each way of a text to a terminal.
WAYS: dict[str, Callable[[Around, str], str]] = {
    "model-text": lambda a, p: shown("complete", "-m", "echo", "-n", "9", f"{p} {p}"),
    "chat-text": lambda a, p: shown("chat", "-m", "echo", f"{p} {p}"),
    "echoed": lambda a, p: shown("complete", "-m", "echo", "--echo", "-n", "2", p),
    "json": lambda a, p: shown("complete", "--json", "-m", "echo", "-n", "9", p),
    "json-lines": lambda a, p: shown("complete", "--json", "--stream", "-m", "echo", "-n", "9", p),
    "tokens": lambda a, p: shown("tokens", "-m", a.model, "--all", p),
    "top-k": lambda a, p: shown("top-k", "-m", a.model, "--steps", "1", p),
    "top-k-lines": lambda a, p: shown("top-k", "-m", a.model, "--compare", p, p),
    "score": lambda a, p: shown("score", "-m", a.model, p + p),
    "score-table": lambda a, p: shown("score", "--table", "-m", a.model, p + p),
    "choose": lambda a, p: shown("choose", "-m", a.model, "--choice", p, "--choice", "a", "b"),
    "winner": lambda a, p: shown("choose", "--winner", "-m", a.model, *2 * ("--choice", p), "b"),
    "tree-dot": lambda a, p: shown("tree", "--dot", "--depth", "1", "-m", a.model, p),
    "tree-json": lambda a, p: shown("tree", "--json", "--depth", "1", "-m", a.model, p),
    "neighbors": lambda a, p: shown("neighbors", "-m", a.model, p),
    "attention": lambda a, p: shown("attention", "-m", a.model, "--layer", "0", "--head", "0", p),
    "lens": lambda a, p: shown("lens", "-m", a.model, p),
    "loom": _tree,
    "why": lambda a, p: shown("why", "-m", a.model, "--target", p, "--pairs", p + " a b"),
    "ablate": lambda a, p: shown("ablate", "-m", a.model, "--target", p, "--each", "position", p),
    "patch": lambda a, p: shown(
        "patch", "-m", a.model, "--target", p, "--clean", "a" + p, "--corrupt", "b" + p
    ),
    "explain": lambda a, p: shown("explain", "-m", a.model, p),
    "chat-prompt": _history,
    "missing-file": lambda a, p: shown("complete", "-m", "echo", "-f", named(a.place, p)),
    "model-name": lambda a, p: shown("top-k", "-m", _model_name(a, p), "a"),
    "model-stats": lambda a, p: shown("complete", "--stats", "-m", _model_name(a, p), "a"),
    "model-json": lambda a, p: shown("complete", "--json", "-m", _model_name(a, p), "a"),
    "model-show": lambda a, p: shown("models", "show", _model_name(a, p)),
    "no-model": lambda a, p: shown("complete", "-m", p, "a"),
    "adapter": lambda a, p: shown("complete", "-m", a.model, "--adapter", named(a.place, p), "a"),
    "tensor": lambda a, p: shown("complete", "-m", _tensor(a, p), "a"),
    "config": lambda a, p: shown("complete", "-m", a.config(model_type=p), "a"),
    "template": lambda a, p: shown("chat", "-m", _template(a, p), "a"),
    "licence": lambda a, p: shown("models", "show", _licence(a, p)),
    "sessions": lambda a, p: shown("sessions", "list") if _session(a, p) else "",
    "session-shown": lambda a, p: shown("sessions", "show", _session(a, p)),
    "session-name": lambda a, p: shown("chat", "-m", "echo", "--session", p, "a"),
    "hub": _hub_says,
    "pip": _pip_says,
    "progress": _progress,
    "command": lambda a, p: shown(p),
    "flag": lambda a, p: shown("complete", f"--{p}", "a"),
    "value": lambda a, p: shown("complete", "-m", "echo", "--dtype", p, "a"),
    "number": lambda a, p: shown("complete", "-m", "echo", "-n", p, "a"),
    "variable": lambda a, p: shown("complete", "-m", "echo", "a", GPTCLI_DTYPE=p),
    "place": _place,
}
#: What each payload is tried by in every run: all of them by the long part.
FEW = ("title", "unseen")


@pytest.fixture
def around(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Around:
    (tmp_path / "named").mkdir()
    base = with_context(tiny_model, tmp_path / "base", 2048, None)
    chat = with_context(tiny_model, tmp_path / "chat", 2048, CHAT_TEMPLATE)
    return Around(base, chat, tmp_path / "named", monkeypatch)


@pytest.mark.parametrize("way", WAYS)
def test_no_text_drives_a_terminal(way: str, around: Around, own_home: Path) -> None:
    """Each command was to clean what it printed: a model's name in the picker was forgotten."""
    for name in FEW:
        check(WAYS[way](around, TOGETHER[name]), TOGETHER[name])
        shutil.rmtree(own_home / "data", ignore_errors=True)


@pytest.mark.faults
@pytest.mark.parametrize("way", WAYS)
def test_no_attack_drives_a_terminal(way: str, around: Around, own_home: Path) -> None:
    """The same with all payloads, alone and together."""
    for payload in (*TOGETHER.values(), *ATTACKS.values()):
        check(WAYS[way](around, payload), payload)
        shutil.rmtree(own_home / "data", ignore_errors=True)


@pytest.mark.parametrize("name", ATTACKS)
def test_texts_that_come_in_pieces(name: str) -> None:
    """A sequence that is cut over tokens and writes, in characters and in bytes."""
    payload = ATTACKS[name]
    for cut in range(1, len(payload)):
        for style in (None, "bold"):
            with terminal() as (end, written):
                with open(end, "w", encoding="utf-8", newline="", closefd=False) as out:
                    stream = with_variables(out, {"TERM": "xterm-256color", "COLUMNS": "200"})
                    writer = TerminalWriter(stream)
                    for piece in (payload[:cut], payload[cut:]):
                        writer.write(piece, style)
                        stream.write(piece)
                        for byte in piece.encode():
                            stream.buffer.write(bytes([byte]))
                check(written(), payload)
    if len(payload) > 1:
        assert drives(payload)


def test_bytes_that_are_no_text() -> None:
    """A C1 of eight bits is one byte, which a terminal may obey that is not in UTF-8."""
    with terminal() as (end, written):
        with open(end, "w", encoding="utf-8", newline="", closefd=False) as out:
            stream = with_variables(out, {"TERM": "xterm-256color"})
            stream.buffer.write(b"\x9b2J\xff\n")
            stream.flush()
        assert written() == "\\x9b2J\\xff\r\n"


def test_a_name_that_is_no_text(around: Around) -> None:
    """A file's name may be any bytes."""
    name = os.fsdecode(os.fsencode(str(around.place)) + b"/\x9b2J\xff\x1b]0;TAKEN\x07")
    check(shown("complete", "-m", "echo", "-f", name), "\x9b2J")


WRITTEN = {
    "family": "\U0001f469\u200d\U0001f469\u200d\U0001f467",
    "heart": "\u2764\ufe0f",
    "key": "1\ufe0f\u20e3",
    "skin": "\U0001f44d\U0001f3fd",
    "england": "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "rainbow": "\U0001f3f3\ufe0f\u200d\U0001f308",
    "persian": "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
    "hindi": "\u0915\u094d\u200d\u0937",
    "japanese": "\u65e5\u672c\u8a9e e\u0301",
}


@pytest.mark.parametrize("text", WRITTEN.values(), ids=WRITTEN)
def test_what_people_write_stays(text: str) -> None:
    """Joiners and variants that belong to an emoji, or to letters, are no hidden data."""
    assert text in shown("complete", "-m", "echo", "-n", "99", text)
    assert text in shown("complete", "-m", "echo", "--echo", "-n", "1", text)

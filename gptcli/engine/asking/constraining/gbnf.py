r"""GBNF, the grammars of llama.cpp, made ready for llguidance's converter.

https://github.com/ggml-org/llama.cpp/blob/master/grammars/README.md. The converter of llguidance
loses leading zeros of `\u` escapes, cannot tell names that differ in case or dashes alone, takes
`\\[` in a literal for what Lark has no word for, and lets `.` stand for no new line. So names are
numbered and escapes resolved before it reads a grammar.
"""

from __future__ import annotations

import re

#: A rule begins so: what has one is no Lark.
_RULE = re.compile(r"(?m)^[ \t]*[A-Za-z0-9_-]+[ \t]*::=")
_NAMED_RULE = re.compile(r"([A-Za-z0-9_-]+)\s*::=")
_PARTS = re.compile(
    r"""(?P<space>\s+|\#[^\r\n]*)
    |(?P<name>[A-Za-z0-9_-]+)
    |"(?P<literal>(?:[^"\\]|\\.)*)"
    |\[(?P<set>(?:[^\]\\]|\\.)*)\]
    |(?P<any>\.)
    |(?P<times>\{[0-9\s,]*\})
    |(?P<mark>::=|[|()*+?])""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(
    r"\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))|(.)", re.DOTALL
)
_NAMED = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", '"': '"', "[": "[", "]": "]"}
#: What means something within a set of a regular expression.
_IN_SET = "\\]^&~[-/"


def is_gbnf(text: str) -> bool:
    """Whether a grammar is written so."""
    return _RULE.search(text) is not None


def prepared(text: str) -> str:
    """The same grammar, as the converter reads it rightly. Raises ValueError for what is none."""
    names: dict[str, str] = {"root": "root"}
    found, at = [], 0
    while at < len(text):
        part = _PARTS.match(text, at)
        if part is None:
            line = text.count("\n", 0, at) + 1
            raise ValueError(f"line {line}: {text[at : at + 20]!r} is no GBNF")
        kind, value = part.lastgroup, part[part.lastgroup or 0]
        if kind == "name":
            # Beginning with a letter, and told apart by more than case.
            value = names.setdefault(value, f"part{len(names)}")
        elif kind == "literal":
            value = _literal(value)
        elif kind == "set":
            value = _set(value)
        elif kind == "any":
            value = r"(. | [\n])"
        elif kind == "space" and value.startswith("#"):
            value = ""
        found.append(value)
        at = part.end()
    ruled = set(_NAMED_RULE.findall(text))
    for name in names:
        if name not in ruled:
            raise ValueError(f"there is no rule {name!r}")
    return "".join(found)


def _characters(text: str) -> list[tuple[str, bool]]:
    """The characters, and of each whether it was escaped."""
    found = []
    for two, four, eight, named, plain in _ESCAPE.findall(text):
        code = two or four or eight
        if code:
            number = int(code, 16)
            if number > 0x10FFFF or 0xD800 <= number < 0xE000:
                raise ValueError(f"\\U{code} is no character")
            found.append((chr(number), True))
        elif named:
            if named not in _NAMED:
                raise ValueError(f"\\{named} is no escape")
            found.append((_NAMED[named], True))
        else:
            found.append((plain, False))
    return found


def _literal(text: str) -> str:
    """As literals, and sets for what Lark's cannot hold."""
    parts = []
    for character, _ in _characters(text):
        if character in '"\\':
            character = "\\" + character
        elif character in "\n\r\t":
            character = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}[character]
        elif not character.isprintable():
            parts.append(_set_of(character))
            continue
        if parts and parts[-1].startswith('"'):
            parts[-1] = f"{parts[-1][:-1]}{character}" + '"'
        else:
            parts.append(f'"{character}"')
    return f"({' '.join(parts)})" if len(parts) > 1 else "".join(parts) or '""'


def _set(text: str) -> str:
    negated = text.startswith("^")
    inside = ""
    for character, escaped in _characters(text[negated:]):
        # A dash that was not escaped stands between the ends of a range.
        plain = character == "-" and not escaped
        inside += "-" if plain else _in_set(character)
    return f"[{'^' if negated else ''}{inside}]"


def _set_of(character: str) -> str:
    return f"[{_in_set(character)}]"


def _in_set(character: str) -> str:
    code = ord(character)
    if code < 0x80 and (character in _IN_SET or not character.isprintable()):
        return f"\\x{code:02x}"
    return character

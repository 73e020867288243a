"""Text that knows which of its characters a template wrote itself.

A template's logic looks at what messages say, cuts, trims and joins it: it must see the very text.
The document must tell later what the template wrote and what messages said, since only what the
template wrote can be a control token. So each text carries a byte for each of its characters, 1
for the template's own, through all that Jinja and its filters do with text. Whatever loses track
gives a plain text, and that counts as said: at worst a control token is not seen, never forged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, SupportsIndex

_OWN, _SAID = b"\x01", b"\x00"
#: Stands for what was said where a text is made a second time (see `again`).
_VEIL = "\U0010fffd"


class Traced(str):
    """A text, and in `_own` a byte for each character of it: 1 where the template wrote it."""

    __slots__ = ("_own",)
    _own: bytes

    def __new__(cls, text: str = "", own: bytes | None = None) -> Traced:
        """own: None where all of it was said."""
        found = super().__new__(cls, text)
        found._own = own_of(text) if own is None else own
        return found

    def __str__(self) -> str:
        return self

    def __add__(self, other: str) -> Traced:
        if not isinstance(other, str):
            return NotImplemented
        return Traced(str.__add__(self, other), self._own + own_of(other))

    def __radd__(self, other: str) -> Traced:
        if not isinstance(other, str):
            return NotImplemented
        return Traced(str.__add__(other, self), own_of(other) + self._own)

    def __mul__(self, times: SupportsIndex) -> Traced:
        return Traced(str.__mul__(self, times), self._own * times)

    __rmul__ = __mul__

    def __mod__(self, values: Any) -> str:
        return again(str.__mod__, self, values)

    def __getitem__(self, key: SupportsIndex | slice) -> Traced:
        own = self._own[key if isinstance(key, slice) else slice(key, (int(key) + 1) or None)]
        return Traced(str.__getitem__(self, key), own)

    def __iter__(self) -> Iterator[str]:
        return (self[place] for place in range(len(self)))

    def join(self, parts: Iterable[str]) -> Traced:
        """See str."""
        found = list(parts)
        return Traced(str.join(self, found), self._own.join(map(own_of, found)))

    def replace(self, old: str, new: str, count: SupportsIndex = -1) -> Traced:
        """See str. What takes the place of something that was said is no order of the template."""
        text = str.replace(self, old, new, count)
        if text == self:
            return self
        pieces: list[bytes] = []
        end, fresh, times = 0, own_of(new), int(count)
        for place in _places(self, old):
            if times == 0:
                break
            times -= 1
            replaced = self._own[place : place + len(old)]
            pieces += [self._own[end:place], _SAID * len(new) if _SAID in replaced else fresh]
            end = place + len(old)
        return Traced(text, b"".join([*pieces, self._own[end:]]))

    def split(self, sep: str | None = None, maxsplit: SupportsIndex = -1) -> list[str]:
        """See str."""
        return self._found(str.split(self, sep, maxsplit), sep)

    def rsplit(self, sep: str | None = None, maxsplit: SupportsIndex = -1) -> list[str]:
        """See str."""
        return self._found(str.rsplit(self, sep, maxsplit), sep)

    def splitlines(self, keepends: bool = False) -> list[str]:
        """See str."""
        whole = self._found(str.splitlines(self, True), "")
        if keepends:
            return whole
        bare = str.splitlines(self)
        return [long[: len(line)] for long, line in zip(whole, bare, strict=True)]

    def partition(self, sep: str) -> tuple[str, str, str]:
        """See str."""
        before, middle, after = self._found(str.partition(self, sep), "")
        return before, middle, after

    def rpartition(self, sep: str) -> tuple[str, str, str]:
        """See str."""
        before, middle, after = self._found(str.rpartition(self, sep), "")
        return before, middle, after

    def strip(self, chars: str | None = None) -> Traced:
        """See str."""
        return self.lstrip(chars).rstrip(chars)

    def lstrip(self, chars: str | None = None) -> Traced:
        """See str."""
        return self[len(self) - len(str.lstrip(self, chars)) :]

    def rstrip(self, chars: str | None = None) -> Traced:
        """See str."""
        return self[: len(str.rstrip(self, chars))]

    def removeprefix(self, prefix: str, /) -> Traced:
        """See str."""
        return self[len(self) - len(str.removeprefix(self, prefix)) :]

    def removesuffix(self, suffix: str, /) -> Traced:
        """See str."""
        return self[: len(str.removesuffix(self, suffix))]

    def _found(self, parts: Iterable[str], sep: str | None) -> list[str]:
        """Parts of this text, in order, with `sep` between them, or white space for None."""
        found: list[str] = []
        end = 0
        for part in parts:
            start = self.find(part, end) if sep is None else end
            found.append(self[start : start + len(part)])
            end = start + len(part) + len(sep or "")
        return found


def _changed(name: str) -> Callable[[Traced], Traced]:
    def method(self: Traced) -> Traced:
        text: str = getattr(str, name)(self)
        if len(text) == len(self):
            return Traced(text, self._own)
        # "ß" becomes "SS": which letter became which is not known.
        whole = len(set(self._own)) == 1
        return Traced(text, self._own[:1] * len(text) if whole else None)

    method.__name__ = name
    return method


def _padded(name: str) -> Callable[..., str]:
    def method(self: Traced, *given: Any) -> str:
        return again(getattr(str, name), self, *given)

    method.__name__ = name
    return method


for _name in ("upper", "lower", "title", "capitalize", "casefold", "swapcase"):
    setattr(Traced, _name, _changed(_name))
for _name in ("center", "ljust", "rjust", "zfill", "expandtabs", "translate"):
    setattr(Traced, _name, _padded(_name))


def own(text: str) -> Traced:
    """A text that the template wrote."""
    return Traced(plain(text), _OWN * len(text))


def own_of(text: str) -> bytes:
    """The byte of each character."""
    return text._own if isinstance(text, Traced) else _SAID * len(text)


def plain(text: str) -> str:
    """The text without what it knows."""
    return str.__str__(text)


def joined(parts: Iterable[Any]) -> Traced:
    """Texts, and what stands for one, one after another."""
    texts = [shown(part) for part in parts]
    return Traced("".join(texts), b"".join(map(own_of, texts)))


def shown(value: Any) -> str:
    """A value as text: numbers and the like are of the template's making."""
    if isinstance(value, str):
        return value
    text = str(value)
    return own(text) if value is None or isinstance(value, bool | int | float) else text


def again(function: Callable[..., str], *given: Any) -> str:
    """What a function of texts gives, where it only puts them side by side, with what they know.

    It is asked twice, the second time with a veil over all that was said but its white space: what
    comes out the same in the same place both times is the template's.
    """
    text = function(*map(_bare, given))
    try:
        veiled = function(*map(_veiled, given))
    except Exception:
        return text
    if len(veiled) != len(text):
        return text
    return Traced(text, bytes(a == b for a, b in zip(text, veiled, strict=True)))


def _bare(value: Any) -> Any:
    return _each(value, plain)


def _veiled(value: Any) -> Any:
    return _each(value, _veil)


def _veil(text: str) -> str:
    # White space says where lines and words end, and is no name.
    known = zip(plain(text), own_of(text), strict=True)
    return "".join(c if own or c.isspace() else _VEIL for c, own in known)


def _each(value: Any, change: Callable[[str], str]) -> Any:
    """The value with every text in it changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {key: _each(each, change) for key, each in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_each(each, change) for each in value)
    return value


def _places(text: str, part: str) -> Iterator[int]:
    """Where a part stands, one after the other; the empty one stands everywhere."""
    if not part:
        yield from range(len(text) + 1)
        return
    place = text.find(part)
    while place >= 0:
        yield place
        place = text.find(part, place + len(part))

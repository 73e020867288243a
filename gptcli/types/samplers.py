"""The samplers by name: their order, and how it and other words of a sampler are said."""

from __future__ import annotations

from gptcli.config import number_of

#: In llama.cpp's default order, and by its names.
SAMPLERS = (
    *("penalties", "dry", "top_n_sigma", "top_k", "typ_p", "top_p", "min_p", "xtc"),
    "temperature",
)
#: Ours: a fixed temperature comes before what filters, as transformers has it.
DEFAULT_ORDER = (*SAMPLERS[:2], "temperature", *SAMPLERS[2:-1])
#: Texts at which DRY begins anew, as llama.cpp has them.
BREAKERS = ("\n", ":", '"', "*")
#: How it is said that there are none.
NO_BREAKERS = ("none",)

#: What is on of each sampler, and what turns it off.
OFF: dict[str, dict[str, float]] = {
    "penalties": {
        "repeat_penalty": 1.0,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "repeat_last": 0,
    },
    "dry": {"dry_multiplier": 0.0},
    "top_n_sigma": {"top_n_sigma": 0.0},
    "top_k": {"top_k": 0},
    "typ_p": {"typical_p": 1.0},
    "top_p": {"top_p": 1.0},
    "min_p": {"min_p": 0.0},
    "xtc": {"xtc_probability": 0.0},
    "temperature": {"temperature": 1.0, "dynatemp_range": 0.0},
}

_SPELT = {
    **{name.replace("_", by): name for name in SAMPLERS for by in ("_", "-", "")},
    "typical_p": "typ_p",
    "typical-p": "typ_p",
    "typ": "typ_p",
    "typical": "typ_p",
    "temp": "temperature",
    "nucleus": "top_p",
}
#: As llama.cpp's --sampler-seq has them.
_LETTERS = dict(zip("edskypmxt", SAMPLERS, strict=True))


def samplers(text: str) -> tuple[str, ...]:
    """The samplers of `a;b;c`, by their names. Raises ValueError for what is none, or named twice.

    Dashes are as good as underlines, and commas as semicolons; `edkt` are four by their letters.
    """
    found = list[str]()
    words = text.replace(",", ";").split(";")
    if text and text not in _SPELT and _LETTERS.keys() >= set(text):
        words = [_LETTERS[letter] for letter in text]
    for word in words:
        name = _SPELT.get(word.strip().lower())
        if name is None:
            raise ValueError(f"must be of {', '.join(SAMPLERS)}; {word.strip()!r} is none")
        if name in found:
            raise ValueError(f"names {name} twice")
        found.append(name)
    return tuple(found)


def bias(text: str) -> tuple[str, float]:
    """A token, by its id or its text, and what is added to its logit, of TOKEN=NUMBER.

    Raises ValueError.
    """
    # From the right: a token's text may hold an = itself.
    token, equals, amount = text.rpartition("=")
    try:
        if not (token and equals):
            raise ValueError
        number = number_of(amount)
        token.encode()
        # Beyond what float32 logits can take; -inf forbids the token.
        if not (number == float("-inf") or abs(number) <= 1e30):
            raise ValueError
    except ValueError:
        raise ValueError(f"must be TOKEN=NUMBER or a JSON file, not {text!r}") from None
    return token, number


def filled(text: str) -> str:
    """A text. Raises ValueError for an empty one."""
    if not text:
        raise ValueError("must not be empty")
    return text

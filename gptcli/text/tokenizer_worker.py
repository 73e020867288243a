"""A process of its own in which a tokenizer.json that was never met is tried.

{"text": tokenizer.json} → {"growth": letters that one letter may become}, or {"unfit": reason}.
"""

from __future__ import annotations

from typing import Any

from gptcli.formats.tokenizer_json import bounds, diagnosis, library
from gptcli.formats.tokenizer_json.parts import UnfitError
from gptcli.text import limited_worker

#: What is cut: the least text, and one with most of what tokenizers make a difference of.
_TEXTS = ("a", " The  quick 3.14 brown\n\n\tcafe\u0301 naïve don't 漢字 🙂 ﷺ </s> <|x|> \0 İ\r\n ")


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """What one request gives."""
    text = str(request["text"]).encode(errors="surrogatepass")
    try:
        return {"growth": tried(text)}
    except UnfitError as error:
        return {"unfit": str(error)}


def tried(text: bytes) -> int:
    """The letters that a letter may become, of a tokenizer that builds and cuts. Raises UnfitError.

    A text that it cannot cut is no fault: some know few letters, and say so when they meet others.
    """
    try:
        built = library.build(text)
    except UnfitError as error:
        raise UnfitError(diagnosis.reason(text, str(error))) from None
    growth = bounds.growth(built)
    for each in _TEXTS:
        for special in (False, True):
            try:
                with library.guarded():
                    found = built.encode(each, add_special_tokens=special)
                    built.decode(found.ids, skip_special_tokens=False)
            except UnfitError:
                continue
    return growth


def _made() -> limited_worker.Answer:
    import tokenizers  # noqa: F401 - before there is a limit

    return answer


if __name__ == "__main__":
    limited_worker.serve(_made)

"""Models of text and of more: which part of config.json and which tensors are the text's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.rules import Beside, Rules
from gptcli.engine.model.spec import ModelSpec


def spec(config: ConfigFields, text: Callable[[ConfigFields], ModelSpec]) -> ModelSpec:
    """What `text` makes of `text_config`, or of the config itself where it has none.

    Whether the head is tied may be said in either place.
    """
    inner = config.sub("text_config")
    if inner is None:
        return text(config)
    found = text(inner)
    return replace(found, tied=found.tied or config.flag("tie_word_embeddings", False))


def rules(text: Rules, *others: str) -> Rules:
    """The rules of the text model; others: the modules beside it, which are left out.

    Newer checkpoints put `model.language_model.` before its names, older ones `model.` or
    `language_model.model.`, and before those of the others `model.` or nothing.
    """
    return replace(
        text,
        prefix="model.language_model.",
        beside=(*text.beside, sight(*others)),
        other_prefixes=("language_model.model.", text.prefix),
    )


def sight(*modules: str) -> Beside:
    """What sees images, of these modules."""
    return Beside("what sees images", rf"({'|'.join(modules)})\..*")

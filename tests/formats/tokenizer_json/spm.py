"""Small SentencePiece models, trained where they are needed."""

from __future__ import annotations

import io
import random
from typing import Any

import sentencepiece

_LETTERS = "aaabbbccdeé漢.1ÄŽ"


def train(**options: Any) -> bytes:
    """A `tokenizer.model`: BPE with byte fallback and no normaliser, but for the options."""
    chance = random.Random(7)
    words = ["".join(chance.choices(_LETTERS, k=chance.randint(1, 9))) for _ in range(80)]
    lines = [" ".join(chance.choices(words, k=chance.randint(1, 10))) for _ in range(400)]
    out = io.BytesIO()
    settings: dict[str, Any] = {
        "model_type": "bpe",
        "vocab_size": 360 if options.get("byte_fallback", True) else 100,
        "byte_fallback": True,
        "normalization_rule_name": "identity",
        "remove_extra_whitespaces": False,
        "character_coverage": 1.0,
        "hard_vocab_limit": False,
        "minloglevel": 2,
    }
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=out, **settings | options
    )
    return out.getvalue()

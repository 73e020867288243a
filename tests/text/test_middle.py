"""Marks for filling in the middle, found in a vocabulary, and the documents that they make."""

from __future__ import annotations

from pathlib import Path

import pytest

from gptcli.text.middle import middle_of
from tests.text.tokenizers_for_tests import BOS, byte_level, saved, sentence_piece, with_template

#: Marks, and the document of the texts P and S, in their names.
FORMS = {
    "qwen": ("<|fim_prefix|> <|fim_suffix|> <|fim_middle|> <|fim_pad|>", "0 P 1 S 2"),
    "starcoder": ("<fim_prefix> <fim_suffix> <fim_middle> <file_sep>", "0 P 1 S 2"),
    "santacoder": ("<fim-prefix> <fim-suffix> <fim-middle> <fim-pad>", "0 P 1 S 2"),
    "deepseek": ("<｜fim▁begin｜> <｜fim▁hole｜> <｜fim▁end｜>", "0 P 1 S 2"),
    "codellama": ("▁<PRE> ▁<SUF> ▁<MID> ▁<EOT>", "0 P 1 S 2"),
    "glm": ("<|code_prefix|> <|code_suffix|> <|code_middle|>", "0 P 1 S 2"),
    "seed": ("<[fim-prefix]> <[fim-suffix]> <[fim-middle]>", "1 S 0 P 2"),
    "codestral": ("[PREFIX] [SUFFIX] [MIDDLE]", "1 S 0 P"),
}


@pytest.mark.parametrize("form", FORMS)
def test_each_form(tmp_path: Path, form):
    """Catches marks that are not known, an order that is another family's, an end that is missed,
    and text of a prompt that becomes a mark.
    """
    names, order = FORMS[form][0].split(), FORMS[form][1].split()
    rust = byte_level()
    rust.add_special_tokens(names)
    tokenizer = saved(rust, tmp_path)
    found = middle_of(tokenizer)
    assert found is not None
    marks = [tokenizer.id_of(name) for name in names]
    texts = {"P": "the cat " + names[0], "S": " and the dog"}
    parts = {name: tokenizer.encode(text, inside=True) for name, text in texts.items()}
    parts |= {str(at): [mark] for at, mark in enumerate(marks)}
    expected = [token for part in order for token in parts[part]]
    assert found.ids(tokenizer, texts["P"], texts["S"]) == expected
    assert found.ends == set(marks) and len(set(marks) & set(parts["P"])) == 0
    begun = found.ids(tokenizer, names[0], "", special=True)
    assert begun.count(marks[0]) == 2


def test_what_begins_every_text_begins_this_one(tmp_path: Path):
    """Catches a BOS token that is missing, and a space before the suffix that nobody wrote."""
    rust = sentence_piece(prepend="first")
    rust.add_special_tokens(FORMS["codellama"][0].split())
    tokenizer = saved(with_template(rust, BOS), tmp_path)
    assert tokenizer.prefix
    found = middle_of(tokenizer)
    assert found is not None
    ids = found.ids(tokenizer, "the", "cat")
    assert ids[: len(tokenizer.prefix)] == tokenizer.prefix
    rest = ids[ids.index(found.after) + 1 : -1]
    assert rest == tokenizer.encode("cat", inside=True)


def test_a_vocabulary_without_marks(tmp_path: Path):
    """Catches a form that is made of some of its marks."""
    rust = byte_level()
    rust.add_special_tokens(["<fim_prefix>", "<fim_suffix>", "[SUFFIX]"])
    assert middle_of(saved(rust, tmp_path)) is None

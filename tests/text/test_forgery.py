"""Every special token of five tokenizers, in system, user and example text: none becomes a token.

The tokenizers are small, their special tokens those of published models. An example of few-shot is
a message of the user and an answer, as an earlier turn is.
"""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import pytest
from tokenizers import AddedToken
from tokenizers import Tokenizer as Rust

from gptcli.text.chat_document import DocumentForm
from gptcli.text.chat_form import open_form
from gptcli.text.tokenizer import Tokenizer
from gptcli.types.chat import ChatForm, Message, TranscriptForm
from tests.text.tokenizers_for_tests import byte_level, sentence_piece, unigram

#: In the manner of GPT-2, Qwen, Llama 2, Gemma and T5.
GPT2 = ["<|endoftext|>"]
QWEN = [
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|box_start|>"),
    *("<|quad_end|>", "<|vision_pad|>", "<tool_call>", "</tool_call>", "<think>", "</think>"),
]
LLAMA2 = ["<unk>", "<s>", "</s>", "<pad>", "[INST]", "[/INST]", "<<SYS>>", "<</SYS>>"]
GEMMA = [
    *(
        "<pad>",
        "<eos>",
        "<bos>",
        "<unk>",
        "<mask>",
        "<start_of_turn>",
        "<end_of_turn>",
        "[multimodal]",
    ),
    *(f"<unused{i}>" for i in range(12)),
]
T5 = ["<unk>", "<pad>", "</s>", "<s>", *(f"<extra_id_{i}>" for i in range(6))]


def _with(rust: Rust, names: list[str], **options: bool) -> Rust:
    rust.add_special_tokens([AddedToken(name, special=True, **options) for name in names])
    return rust


TOKENIZERS = {
    "gpt2": (lambda: _with(byte_level(), GPT2), GPT2),
    "qwen": (lambda: _with(byte_level(split=False), QWEN, lstrip=True, rstrip=True), QWEN),
    "llama-2": (lambda: _with(sentence_piece(prepend="first"), LLAMA2), LLAMA2),
    "gemma": (lambda: _with(sentence_piece(), GEMMA, normalized=True), GEMMA),
    "t5": (lambda: unigram(T5), T5),
}


@pytest.fixture(scope="module", params=TOKENIZERS)
def model(request, tmp_path_factory: pytest.TempPathFactory):
    """(tokenizer, special tokens by name, forms): a template that writes two, and a transcript."""
    make, names = TOKENIZERS[request.param]
    directory: Path = tmp_path_factory.mktemp("forgery")
    make().save(str(directory / "tokenizer.json"))
    begin, end = names[-1], names[len(names) // 2]
    template = (
        "{% for m in messages %}" + begin + "{{ m.role }}\n{{ m.content }}" + end + "\n{% endfor %}"
        "{% if add_generation_prompt %}" + begin + "assistant\n{% endif %}"
    )
    (directory / "tokenizer_config.json").write_text(json.dumps({"chat_template": template}))
    tokenizer = Tokenizer(directory)
    forms = [
        open_form(ChatForm(), tokenizer),
        open_form(ChatForm(transcript=TranscriptForm()), tokenizer),
    ]
    # Letters that are not in its vocabulary are <unk> to T5, and by right.
    counted = [name for name in names if (request.param, name) != ("t5", "<unk>")]
    yield tokenizer, {name: tokenizer.id_of(name) for name in counted}, forms
    for form in forms:
        form.close()


def conversation(system: str, user: str, example: str) -> list[Message]:
    return [
        Message("system", system),
        Message("user", example),
        Message("assistant", example),
        Message("user", user),
    ]


def specials(form: DocumentForm, messages: list[Message], tokens: set[int]) -> list[int]:
    return [token for token in form.document(messages).ids if token in tokens]


def test_no_special_token_comes_of_a_text(model):
    """Catches a name that becomes its token: whole, with spaces to take along, or nested."""
    tokenizer, by_name, forms = model
    tokens = set(by_name.values())
    assert None not in tokens and len(tokens) == len(by_name)
    for form in forms:
        plain = specials(form, conversation("a", "a", "a"), tokens)
        for name in by_name:
            # As a name by itself would be read, were it not for us.
            assert by_name[name] in tokenizer.encode(name, special=True)
            half = len(name) // 2
            nested = name[:half] + name + name[half:]
            for text in (name, f" {name} ", f"a{name}\n{name}", nested, name.upper()):
                for place in range(3):
                    parts = ["a", "a", "a"]
                    parts[place] = text
                    assert specials(form, conversation(*parts), tokens) == plain, (name, parts)


def test_no_special_token_comes_of_pieces_at_borders(model):
    """Catches a name that a text begins and the form, or the next text, ends."""
    _, by_name, forms = model
    tokens = set(by_name.values())
    for form in forms:
        plain = specials(form, conversation("a", "a", "a"), tokens)
        for name, cut in product(by_name, (1, -1)):
            head, tail = name[:cut], name[cut:]
            for parts in ((head, tail, head), (tail, head, tail), (head, head, tail)):
                assert specials(form, conversation(*parts), tokens) == plain, (name, parts)


def test_a_text_comes_back_whole(model):
    """Catches a defence that changes what was said."""
    _, by_name, forms = model
    text = "a" + "a".join(by_name) + "a"
    for form in forms:
        assert form.document(conversation(text, text, text)).text.count(text) == 4

"""Chat templates of the kinds that models are published with: each document is transformers'.

The templates in documents/ are ours, in the manner of the families that they are named after, with
what these do with messages; `filters` does what else a template may do. Each has a small tokenizer
of its family's scheme, with its control tokens: special ones, and added ones that show in text.
"""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from tokenizers import AddedToken

from gptcli.errors import InputError, ModelError
from gptcli.text.chat_document import DocumentForm
from gptcli.text.chat_form import open_form
from gptcli.text.tokenizer import Tokenizer
from gptcli.types.chat import ChatForm, Message
from tests.text.test_chat_template import tokenizer_of

TEMPLATES = Path(__file__).parent / "documents"


@dataclass(frozen=True)
class Family:
    """A scheme of `tokenizer_of`, and control tokens; special: BOS and EOS come first."""

    scheme: str
    special: str
    shown: str = ""
    options: str = ""


_IM, _THINK = "<|im_start|> <|im_end|>", "<think> </think>"
_DEEPSEEK = "<｜begin▁of▁sentence｜> <｜end▁of▁sentence｜> <｜User｜> <｜Assistant｜>"
_LLAMA = "<|begin_of_text|> <|eot_id|> <|start_header_id|> <|end_header_id|>"
_ROLES = "<|system|> <|user|> <|assistant|>"
FAMILIES = {
    "chatml": Family("bytes", f"<|endoftext|> {_IM}"),
    "qwen2.5": Family("bytes", f"<|endoftext|> {_IM}", "<tool_call> </tool_call>"),
    "qwen3": Family("bytes", f"<|endoftext|> {_IM}", f"{_THINK} <tool_response> </tool_response>"),
    "qwq": Family("bytes", f"<|endoftext|> {_IM}", _THINK),
    "deepseek-r1": Family("bytes", _DEEPSEEK, _THINK),
    "deepseek-v3.1": Family("bytes", _DEEPSEEK, _THINK),
    "deepseek-coder": Family("bytes", "<｜begin▁of▁sentence｜> <|EOT|>"),
    "llama-2": Family("legacy", "<s> </s>"),
    "llama-3": Family("bytes", _LLAMA),
    "llama-3.1": Family("bytes", _LLAMA),
    "llama-4": Family("bytes", "<|begin_of_text|> <|eot|> <|header_start|> <|header_end|>"),
    "mistral-v1": Family("first", "<s> </s>"),
    "mistral-v3": Family("first", "<s> </s> [INST] [/INST] [AVAILABLE_TOOLS]"),
    "mistral-v7": Family("first", "<s> </s> [INST] [/INST] [SYSTEM_PROMPT] [/SYSTEM_PROMPT]"),
    "mistral-small": Family("bytes", "<s> </s> [INST] [/INST] [SYSTEM_PROMPT] [/SYSTEM_PROMPT]"),
    "zephyr": Family("first", "<s> </s>"),
    "gemma": Family("never", "<bos> <eos> <start_of_turn> <end_of_turn>"),
    "gemma-3": Family("never", "<bos> <eos> <start_of_turn> <end_of_turn>", options="normalized"),
    "phi-3": Family("first", f"<s> <|endoftext|> {_ROLES} <|end|>", options="rstrip"),
    "phi-4": Family("bytes", f"<|endoftext|> {_IM} <|im_sep|>", options="lstrip rstrip"),
    "phi-4-mini": Family("bytes", f"<|endoftext|> {_ROLES} <|end|>"),
    "glm-4": Family("bytes", f"<|endoftext|> [gMASK] <sop> {_ROLES}"),
    "glm-4.5": Family("bytes", f"<|endoftext|> [gMASK] <sop> {_ROLES}", f"{_THINK} /nothink"),
    "command-r": Family(
        "bytes",
        "<BOS_TOKEN> <|END_OF_TURN_TOKEN|> <|START_OF_TURN_TOKEN|> <|SYSTEM_TOKEN|>"
        " <|USER_TOKEN|> <|CHATBOT_TOKEN|>",
    ),
    "granite-3": Family("bytes", "<|end_of_text|> <|start_of_role|> <|end_of_role|>"),
    "granite-4": Family("bytes", "<|end_of_text|> <|start_of_role|> <|end_of_role|>"),
    "gpt-oss": Family(
        "bytes", "<|startoftext|> <|return|> <|start|> <|channel|> <|message|> <|end|>"
    ),
    "vicuna": Family("legacy", "<s> </s>"),
    "alpaca": Family("legacy", "<s> </s>"),
    "olmo-2": Family("bytes", f"<|endoftext|> {_ROLES}"),
    "falcon": Family("bytes", "<|endoftext|>"),
    "falcon-3": Family("bytes", f"<|endoftext|> {_ROLES}"),
    "smollm3": Family("bytes", f"<|begin_of_text|> {_IM}", _THINK),
    "exaone": Family("bytes", "[BOS] [|endofturn|] [|system|] [|user|] [|assistant|]"),
    "exaone-deep": Family(
        "bytes", "[BOS] [|endofturn|] [|system|] [|user|] [|assistant|]", "<thought> </thought>"
    ),
    "nemotron": Family("bytes", _LLAMA, _THINK),
    "openchat": Family("first", "<s> <|end_of_turn|>"),
    "internlm-2": Family("never", f"<s> </s> {_IM}"),
    "baichuan-2": Family("never", "<s> </s> <reserved_106> <reserved_107>"),
    "kimi-k2": Family(
        "bytes", "[BOS] <|im_end|> <|im_user|> <|im_assistant|> <|im_system|> <|im_middle|>"
    ),
    "lfm2": Family("bytes", f"<|startoftext|> {_IM}", _THINK),
    "apertus": Family(
        "bytes",
        "<s> </s> <|system_start|> <|system_end|> <|user_start|> <|user_end|> <|assistant_start|>"
        " <|assistant_end|>",
    ),
    "hunyuan": Family("bytes", "<|startoftext|> <|eos|> <|extra_0|> <|extra_4|>"),
    "seed-oss": Family("bytes", "<seed:bos> <seed:eos>", "<seed:think> </seed:think>"),
    "stablelm-2": Family("bytes", f"<|endoftext|> {_ROLES}"),
    "minimax-m2": Family("bytes", "]~!b[ [e~[ ]~b]", _THINK),
    "filters": Family("bytes", f"<s> </s> {_ROLES} <|end|>", _THINK),
}
_THOUGHT = "<think>\nThey greet me.\n</think>\n\nHello!"
#: Each message is the role's first letter and the content.
CONVERSATIONS: dict[str, list[str]] = {
    "one": ["uHello"],
    "system": ["sBe brief, {x}.", "uHello", "aHi", "u  How are you? \n"],
    "thinking": ["uHi", f"a{_THOUGHT}", "uAnd now?", "a<think>\nHm.\n</think>\nNow.", "uSo"],
    "thought last": ["sThink.", "uHi", f"a{_THOUGHT}"],
    "odd": ["aI begin.", "uSo?", "uWell?", "aYes", "aNo", "uThen"],
    "empty": ["s ", "u", "a", "u\n\n", "a\t", "u "],
    "letters": [
        "uнаïve 日本 مرحبا 🎉🎉 é\u200b\u00a0ﬁ Straße",
        "a{{ 7 * 7 }} {% raw %} <b>&amp;</b> \"quoted\" 'too' \\n",
        "udef f(x):\r\n    return x % 2\n\n\n```py\nf(1)\n```",
    ],
}
_ROLE = {"s": "system", "u": "user", "a": "assistant"}


@functools.cache
def trained(scheme: str) -> str:
    return tokenizer_of(scheme, []).to_str()


def directory_of(name: str, place: Path) -> Path:
    family = FAMILIES[name]
    rust = tokenizers.Tokenizer.from_str(trained(family.scheme))
    special, shown = family.special.split(), family.shown.split()
    options: Any = dict.fromkeys(family.options.split(), True)
    rust.add_special_tokens([AddedToken(each, special=True, **options) for each in special])
    rust.add_tokens([AddedToken(each, normalized=False) for each in shown])
    place.mkdir()
    rust.save(str(place / "tokenizer.json"))
    named = {"bos_token": special[0], "eos_token": special[1 % len(special)]}
    config = {"tokenizer_class": "PreTrainedTokenizerFast", **named}
    (place / "tokenizer_config.json").write_text(json.dumps(config))
    (place / "chat_template.jinja").write_bytes((TEMPLATES / f"{name}.jinja").read_bytes())
    return place


def messages_of(said: list[str], shown: list[str]) -> list[Message]:
    """Answers are a model's: the tags in them were tokens."""
    found = []
    for each in said:
        text, pattern = each[1:], "|".join(map(re.escape, shown))
        marks = tuple(m.span() for m in re.finditer(pattern, text)) if pattern else ()
        found.append(Message(_ROLE[each[0]], text, marks if each[0] == "a" else ()))
    return found


def outcome(form: DocumentForm, messages: list[Message], *, answer: bool) -> Any:
    try:
        return list(form.document(messages, answer=answer).ids)
    except InputError as error:
        return error.reason.partition("refuses it: ")[2]
    except ModelError as error:
        return error.reason.partition("fails: ")[2]


def expected(oracle: Any, messages: list[Message], *, answer: bool) -> Any:
    from jinja2 import TemplateError

    plain = [{"role": each.role, "content": each.content} for each in messages]
    try:
        return oracle.apply_chat_template(plain, add_generation_prompt=answer, return_dict=False)
    except TemplateError as error:
        return str(error)


#: Each scheme, its options, and tokens that show; the others run by `-m slow`, as the oracle does.
FEW = ("qwen3", "deepseek-r1", "llama-2", "mistral-v3", "gemma", "gemma-3", "phi-3", "phi-4")
FEW += ("gpt-oss", "filters")


@pytest.fixture(
    scope="module",
    params=[
        each if each in FEW else pytest.param(each, marks=pytest.mark.slow) for each in FAMILIES
    ],
)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    """(name, directory, tokenizer, form)."""
    directory = directory_of(request.param, tmp_path_factory.mktemp("documents") / "m")
    tokenizer = Tokenizer(directory)
    form = open_form(ChatForm(), tokenizer)
    yield request.param, directory, tokenizer, form
    form.close()


def test_every_template_is_tried() -> None:
    """Catches a template that lies here and is not looked at."""
    assert {path.stem for path in TEMPLATES.iterdir()} == set(FAMILIES) and len(FAMILIES) >= 40


@pytest.mark.slow
def test_documents_are_those_of_transformers(model) -> None:
    """Catches any token that differs, and a refusal that is another."""
    from transformers import AutoTokenizer

    name, directory, _, form = model
    oracle = AutoTokenizer.from_pretrained(directory)
    made = 0
    for title, said in CONVERSATIONS.items():
        messages = messages_of(said, FAMILIES[name].shown.split())
        answer = messages[-1].role == "user"
        found = outcome(form, messages, answer=answer)
        assert found == expected(oracle, messages, answer=answer), (name, title)
        made += isinstance(found, list)
    assert made >= 2, "a family that refuses everything shows nothing"


def test_no_name_in_a_message_is_a_control_token(model) -> None:
    """Catches a text that gives orders: whole names, halves that are joined, names in names."""
    name, _, tokenizer, form = model
    family = FAMILIES[name]
    names = [*family.special.split(), *family.shown.split()]
    controls = {tokenizer.id_of(each) for each in names}
    written = (TEMPLATES / f"{name}.jinja").read_text()
    # What the template does not write, and is not special, is a token wherever it stands.
    free = {tokenizer.id_of(each) for each in family.shown.split() if each not in written}

    def orders(text: str) -> list[int]:
        found = outcome(form, [Message("user", text)], answer=True)
        assert isinstance(found, list), found
        return [token for token in found if token in controls - free]

    plain = orders("Hello")
    for each in names:
        half = len(each) // 2
        for text in (each, f"a {each}\n{each}b", each[:half] + each + each[half:], each.upper()):
            assert orders(text) == plain, (name, text)

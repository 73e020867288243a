"""What servers can do beyond, and less than, OpenAI's language: a table, and how one is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

#: Our settings of the sampler and the fields that OpenAI has for them.
_OPENAI = {name: name for name in ("temperature", "top_p", "presence_penalty", "frequency_penalty")}


@dataclass(frozen=True)
class Server:
    """A program that serves models.

    title: for sentences. owner: what its list of models says who owns them. sampling: our settings
    and its fields for them; what is not there it would ignore. more: fields of every request.
    bias, samples: whether it takes `logit_bias` and `n`. completions: whether it continues texts.
    suffix: whether it writes what stands between two.
    limit: its field for the most tokens of an answer in a chat. endless: how a text is asked for
    that goes on to its end: without a limit, by -1, or not at all. logprobs, chat_logprobs: of how
    many rivals it tells at most, 0 where it tells no log-probability at all. scores: how it is
    asked for the log-probabilities of a prompt: by `prompt_logprobs`, by `echo` with `logprobs`, or
    not at all. cutting: whose `/tokenize` and `/detokenize` it has. ids: whether it takes token ids
    as a prompt and tells those of what may come; named_by_id: whether it has to be asked to name
    tokens so, since their texts alone lose half a character. special: its field for control tokens
    in a prompt to be obeyed, nothing where they always are. effort: whether it takes
    `reasoning_effort`. variables, think, budget: its fields for variables of a chat template, for
    whether to think, and for how many tokens, nothing where it has none. lists: whether its list of
    models is whole, so that a name that is not there need not be asked for. formats: which of its
    two kinds of questions take `response_format`; forms: whether it takes every constraint as
    gptcli does. pooling: its field for how the vectors of a text become one.
    """

    title: str
    owner: str = ""
    sampling: Mapping[str, str] = field(default_factory=lambda: MappingProxyType(_OPENAI))
    more: Mapping[str, Any] = field(default_factory=dict)
    bias: bool = True
    samples: bool = True
    completions: bool = True
    suffix: bool = False
    limit: str = "max_tokens"
    endless: Literal["", "unsaid", "-1"] = ""
    logprobs: int = 5
    chat_logprobs: int = 20
    scores: Literal["", "prompt_logprobs", "echo"] = ""
    cutting: Literal["", "vllm", "llama-server"] = ""
    ids: bool = False
    named_by_id: bool = False
    special: str = ""
    effort: bool = False
    variables: str = ""
    think: str = ""
    budget: str = ""
    lists: bool = False
    formats: tuple[Literal["chat", "completion"], ...] = ("chat",)
    forms: bool = False
    pooling: str = ""


def _with(**more: str) -> Mapping[str, str]:
    return MappingProxyType(_OPENAI | more)


#: What llama.cpp's sampler has beside what all have, by its names, which are ours.
_LLAMA_CPP = {
    name: name
    for name in (
        *("top_k", "min_p", "repeat_penalty", "typical_p", "top_n_sigma", "xtc_probability"),
        *("xtc_threshold", "dry_multiplier", "dry_base", "dry_allowed_length"),
        *("dry_penalty_last_n", "dry_sequence_breakers", "dynatemp_range", "dynatemp_exponent"),
        "samplers",
    )
}


#: By the name that a user's file may give them.
SERVERS: Mapping[str, Server] = MappingProxyType(
    {
        # Known by its address. Its models answer in chats only, but for a few old ones.
        "openai": Server("OpenAI", suffix=True, limit="max_completion_tokens", effort=True),
        "vllm": Server(
            "vLLM",
            owner="vllm",
            sampling=_with(top_k="top_k", min_p="min_p", repeat_penalty="repetition_penalty"),
            more={"return_token_ids": True},
            logprobs=20,
            scores="prompt_logprobs",
            cutting="vllm",
            ids=True,
            named_by_id=True,
            effort=True,
            variables="chat_template_kwargs",
            lists=True,
            formats=("chat", "completion"),
        ),
        "llama-server": Server(
            "llama-server",
            owner="llamacpp",
            sampling=_with(**_LLAMA_CPP),
            endless="unsaid",
            logprobs=1000,
            chat_logprobs=1000,
            cutting="llama-server",
            ids=True,
            effort=True,
            variables="chat_template_kwargs",
            budget="reasoning_budget_tokens",
            lists=True,
        ),
        "ollama": Server(
            "ollama",
            owner="library",
            suffix=True,
            bias=False,
            samples=False,
            endless="unsaid",
            logprobs=0,
            chat_logprobs=20,
            effort=True,
        ),
        "lm-studio": Server(
            "LM Studio",
            owner="organization_owner",
            sampling=_with(top_k="top_k", repeat_penalty="repeat_penalty"),
            samples=False,
            endless="unsaid",
            logprobs=0,
            chat_logprobs=0,
        ),
        "gptcli": Server(
            "gptcli serve",
            owner="gptcli",
            suffix=True,
            sampling=_with(**_LLAMA_CPP, ban="ban"),
            endless="-1",
            logprobs=100,
            chat_logprobs=100,
            scores="echo",
            cutting="llama-server",
            ids=True,
            named_by_id=True,
            special="special",
            effort=True,
            variables="chat_template_kwargs",
            think="enable_thinking",
            budget="thinking_budget",
            lists=True,
            formats=("chat", "completion"),
            forms=True,
            pooling="pooling",
        ),
        # Whatever else speaks the language: nothing but what is in it.
        "other": Server("the server"),
    }
)
#: What only one of them answers to, beside OpenAI's language: a path from its root, a key there.
SIGNS = (("/api/version", "version", "ollama"), ("/props", "total_slots", "llama-server"))


def by_owner(owner: object) -> Server | None:
    """The server whose list of models names this owner, None where that says nothing."""
    return next((each for each in SERVERS.values() if each.owner and each.owner == owner), None)

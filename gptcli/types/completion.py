"""What continues a prompt? A completion as it comes, piece by piece, and what it took."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field

from gptcli.plain import dataclass
from gptcli.types.constraints import Constraint, ConstraintUse
from gptcli.types.drafts import Drafts
from gptcli.types.events import Notice
from gptcli.types.prompt_cache import PromptCacheUse
from gptcli.types.question import Question
from gptcli.types.sampling import Sampling, SamplingWish
from gptcli.types.token import Source

#: What `bytes` means where a field has that name.
_Bytes = bytes


@dataclass(frozen=True)
class Among:
    """Where a token stood in the model's raw distribution.

    rank: 1 is the most probable token; ties share the better rank. entropy: of all of it, in bits.
    """

    rank: int
    entropy: float


@dataclass(frozen=True)
class TokenInfo:
    """A token with its log-probability (natural log) under the model's raw distribution.

    `token` is its text, U+FFFD where its bytes are no whole character; `bytes` are exact. `id` is
    None where a server does not tell it. Where `Request.among` asks for it: among, and said, what
    became part of the text with a token that was drawn; None for its bytes.
    """

    token: str
    id: int | None
    logprob: float
    bytes: bytes
    top_logprobs: tuple[TokenInfo, ...] = ()
    among: Among | None = None
    said: _Bytes | None = None


@dataclass(frozen=True)
class Chunk:
    """A piece of completion `index`: whole characters only, possibly none.

    finish_reason is set on the last chunk of a completion: "stop" (an end token or a stop string),
    "length" (the token limit or the context was reached) or "uncertain" (see Request.fail_below).
    marks: [start, end) of added tokens that were written, in the completion's whole text, which
    may have ended before them. ending: the end token that was drawn, where log-probabilities were
    asked for; it is no part of the text. thinking: what the model thought, before what is in
    `text`; no part of the text either.
    """

    text: str
    index: int = 0
    tokens: tuple[TokenInfo, ...] = ()
    finish_reason: str | None = None
    marks: tuple[tuple[int, int], ...] = ()
    ending: TokenInfo | None = None
    thinking: str = ""


@dataclass(frozen=True)
class PromptPiece:
    """The next tokens of the prompt, each with how expected it was after those before it.

    logprob is None for a token with nothing before it, which no model can expect.
    """

    tokens: tuple[PromptToken, ...]


@dataclass(frozen=True)
class PromptToken:
    """A token of the prompt; see TokenInfo, and PromptPiece for its logprob."""

    token: str
    id: int
    logprob: float | None
    bytes: bytes
    top_logprobs: tuple[TokenInfo, ...] = ()
    among: Among | None = None


@dataclass(frozen=True)
class Uncertain:
    """Why a completion ended as "uncertain": the token, and its place in the text, from 1.

    probability is what was held to Request.fail_below.
    """

    index: int
    position: int
    token: TokenInfo
    probability: float


@dataclass(frozen=True)
class Usage:
    """What a request took. Seconds are wall-clock; memory is the process's peak, in bytes.

    prompt_seconds runs from the start to the first token, decode_seconds from the first token to
    the last (of all samples together). `sampling` is what was really used. completion_tokens
    counts tokens of text: an end token is not one of them, nor is a token that only draws anew
    what was taken back of the prompt. `uncertain` tells of the completions that ended so.
    reused_tokens of the prompt were in the KV cache already; prompt_cache tells what came from the
    disk, None where no prompts are kept there. What a server does not tell is None: how many tokens
    there were, and of `sampling` it knows what it was asked for. There end tokens count as the
    server counts them. reasoning_tokens: of those of completion_tokens that were thought, marks
    included. drafts: None where nothing was to be drafted. constraint: None where the text could be
    any.
    """

    prompt_tokens: int | None
    completion_tokens: int | None
    source: Source
    seed: int
    samples: int
    sampling: Sampling | SamplingWish
    prompt_seconds: float
    decode_seconds: float
    peak_memory: int | None = None
    uncertain: tuple[Uncertain, ...] = ()
    reused_tokens: int = 0
    reasoning_tokens: int = 0
    prompt_cache: PromptCacheUse | None = None
    drafts: Drafts | None = None
    constraint: ConstraintUse | None = None


Event = Chunk | Notice | PromptPiece | Usage


def nothing_said(tokens: int | None, *, cut: bool) -> Notice:
    """What to tell where a model only thought, for so many tokens; cut: until they ran out."""
    if not cut:
        return Notice("answer", "the model ended its turn within its thoughts, so none came")
    all_ = "all tokens" if tokens is None else f"all {tokens} tokens"
    text = f"{all_} went into thinking, so none came; -n allows more of them"
    return Notice("answer", f"{text}, --think-budget fewer thoughts")


@dataclass(frozen=True)
class Request(Question[Iterator[Event]]):
    """One completion to be made.

    max_new_tokens: None means until the model ends or the context is full.
    stop: texts at which the completion ends; they are not part of it.
    samples: how many completions of the same prompt; sample i uses seed + i.
    logprobs: None for none, else how many alternatives to give beside each drawn token.
    prompt_logprobs: the same of each token of the prompt, in pieces before the first chunk.
    among: with these, also where each token stood among all.
    ids: the prompt in tokens, instead of a text.
    suffix: what comes after the text that is written, which then stands between it and the prompt.
    special: the prompt may contain control tokens (`<|im_end|>`), which are then obeyed.
    heal: where the prompt ends within a token, go back to where that begins (see text.healing).
    fail_below: end a completion, without the token, where the raw probability of the one that was
    drawn is less. Of tokens drawn to heal the prompt that is their share of those that fit it, and
    of those under a constraint their share of what it allows.
    constraint: what the text has to be, None for any text.
    """

    asks = "complete a text"

    prompt: str
    sampling: SamplingWish = field(default_factory=SamplingWish)
    max_new_tokens: int | None = 256
    stop: tuple[str, ...] = ()
    seed: int = 0
    samples: int = 1
    logprobs: int | None = None
    special: bool = False
    heal: bool = False
    fail_below: float | None = None
    prompt_logprobs: int | None = None
    ids: tuple[int, ...] | None = None
    suffix: str | None = None
    constraint: Constraint | None = None
    among: bool = False

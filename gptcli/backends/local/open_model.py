"""An open model: its text side, its tensor side, and how text gets from one to the other."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from gptcli.backends.local import calibration
from gptcli.backends.local.defaults import ModelDefaults
from gptcli.errors import ContextError, InputError, ModelError, UsageError
from gptcli.text.healing import TokenIndex
from gptcli.text.middle import Middle, middle_of
from gptcli.text.tokenizer import Tokenizer
from gptcli.types.compute import QUANTISED, Compute
from gptcli.types.models import ModelDir
from gptcli.types.prompt_cache import OFF, PromptCache
from gptcli.types.sampling import Sampling, SamplingWish
from gptcli.types.token import Source, Token

if TYPE_CHECKING:
    from gptcli.engine.describe import Described
    from gptcli.engine.prompts.kept_prompts import KeptPrompts
    from gptcli.engine.runner import Runner

T = TypeVar("T")


class OpenModel:
    """Tokenizer, runner and settings of one model directory."""

    def __init__(
        self,
        model: ModelDir,
        compute: Compute,
        *,
        weights: bool = True,
        prompts: PromptCache | None = None,
        draft: OpenModel | None = None,
    ) -> None:
        """Raises the errors of the tokenizer and of the engine's `open_runner`.

        Without `weights` these are read when a question needs them, if one does. prompts: which of
        them to keep on the disk, none without it. draft: a model that runs ahead of this one.
        """
        self.name = model.name
        self.path = model.path
        self.tokenizer = Tokenizer(model.path)
        self._compute, self._prompts = compute, prompts or PromptCache()
        self.draft = draft
        #: How many tokens of a text are drafted, None for as many as pay.
        self.drafts = compute.drafts
        self.adapters = tuple(adapter.name for adapter in compute.adapter)
        self.steering = tuple(each.name for each in compute.steer)
        self._kept: dict[Callable[[OpenModel], Any], Any] = {}
        if weights:
            self.load()

    def load(self) -> None:
        """Bring the weights in, where they are not yet here; what is small is read first."""
        self.defaults, self.runner, self.prompts  # noqa: B018 - made by being asked for

    @cached_property
    def described(self) -> Described:
        """The model's config.json and the headers of its weights, each read once."""
        from gptcli.engine.describe import describe

        return describe(self.path)

    @cached_property
    def defaults(self) -> ModelDefaults:
        """What the model's own files say about how to use it."""
        return ModelDefaults(self.path, self.described.config, self.tokenizer)

    @cached_property
    def runner(self) -> Runner:
        """What runs the model."""
        return self.runner_in(self._compute.dtype)

    @property
    def exact_runner(self) -> Runner:
        """One in float32, also what it keeps of the tokens so far. Raises as `runner_in`."""
        return self.runner_in("float32", kv_dtype="auto")

    def runner_in(self, dtype: str, *, kv_dtype: str | None = None) -> Runner:
        """Another runner of the same model, in another dtype.

        kv_dtype: as --kv-dtype names it, None for that of the model. Raises as
        `open_runner`, `steered` and `calibration.pieces` do.
        """
        from gptcli.engine.host import numpy_alone

        numpy_alone.load()
        from gptcli.engine.open import open_runner

        texts = self._calibration if dtype in QUANTISED else ()
        kept = self._compute.kv_dtype if kv_dtype is None else kv_dtype
        compute = replace(self._compute, dtype=dtype, kv_dtype=kept)
        runner = open_runner(self.described, compute, texts)
        if not compute.steer:
            return runner
        from gptcli.backends.local.steered import steered

        return steered(runner, compute.steer)

    @cached_property
    def prompts(self) -> KeptPrompts | None:
        """Prompts on the disk, None where none are kept. Raises UsageError where none can be."""
        if self._prompts.prompt_cache == OFF:
            return None
        from gptcli.backends.local import prompts_on_disk

        return prompts_on_disk.opened(
            self.name, self.path, self.runner, self.tokenizer, self._prompts
        )

    @cached_property
    def _calibration(self) -> Sequence[Sequence[int]]:
        """Pieces of the calibration text, none where none is given."""
        file = self._compute.calibration
        if file is None:
            return ()
        return calibration.pieces(file, self.tokenizer, self.described.spec)

    def kept(self, make: Callable[[OpenModel], T]) -> T:
        """What one answer leaves for the next: made of this model when it is first wanted."""
        if make not in self._kept:
            self._kept[make] = make(self)
        found: T = self._kept[make]
        return found

    def close(self) -> None:
        """Let go of the weights, and of what answers have left."""
        self._kept.clear()
        self.__dict__.pop("runner", None)
        if self.draft is not None:
            self.draft.close()

    @property
    def source(self) -> Source:
        """What to say about where numbers come from."""
        facts = self.runner.facts
        return Source(
            self.name,
            facts.device,
            facts.dtype,
            self.adapters,
            facts.activations,
            steering=self.steering,
            kv_dtype=facts.kv_dtype,
        )

    @cached_property
    def vocabulary(self) -> tuple[bytes, ...]:
        """The bytes of every token, by id."""
        return tuple(map(self.tokenizer.bytes_of, range(self.runner.spec.vocab)))

    @cached_property
    def token_index(self) -> TokenIndex:
        """Every token of text, by its bytes; control tokens are none."""
        special = self.tokenizer.is_special
        return TokenIndex((i, data) for i, data in enumerate(self.vocabulary) if not special(i))

    @cached_property
    def middle(self) -> Middle:
        """The marks for filling in the middle. Raises UsageError where the vocabulary has none."""
        found = middle_of(self.tokenizer)
        if found is None:
            raise UsageError("--suffix", f"the vocabulary of {self.name} has no marks for it")
        return found

    def sampling(self, wish: SamplingWish, ends: Collection[int] = ()) -> Sampling:
        """The wish, its gaps filled by the model's own settings and our defaults.

        ends: tokens that end this text beside those of the model's files.
        """
        return self.defaults.sampling(wish, self.runner.spec.vocab, ends)

    def encode(self, text: str, *, special: bool = False, subject: str = "prompt") -> list[int]:
        """The ids of a document's beginning, with what the model expects before it.

        Raises InputError where the text is empty or has a token without an embedding, ContextError
        where it has more tokens than the context in use.
        """
        ids = self.encode_part(text, special=special, subject=subject)
        if not text:
            raise InputError(subject, "is empty", "give at least one character")
        if not ids:
            raise ModelError(self.name, "its tokenizer makes no tokens of this text")
        prefix = self.tokenizer.prefix
        if ids[: len(prefix)] != prefix:
            ids = [*prefix, *ids]
            self.check_ids(ids, subject)
        self.check_length(len(ids), subject)
        return ids

    def encode_part(self, text: str, *, special: bool = False, subject: str = "text") -> list[int]:
        """The ids of a text that stands somewhere in a document; it may be empty."""
        ids = self.tokenizer.encode(text, special=special)
        self.check_ids(ids, subject)
        return ids

    def encode_around(self, before: str, after: str, *, special: bool = False) -> list[int]:
        """The ids that what stands between two texts follows. Raises as `middle` and `encode`."""
        ids = self.middle.ids(self.tokenizer, before, after, special=special)
        self.check_ids(ids, "prompt")
        self.check_length(len(ids))
        return ids

    def check_ids(self, ids: Sequence[int], subject: str = "text") -> None:
        """Raise ModelError where the tokenizer has a token without an embedding."""
        beyond = next((token for token in ids if token >= self.runner.spec.vocab), None)
        if beyond is not None:
            reason = f"its tokenizer gives token {beyond}, for which it has no embedding"
            raise ModelError(self.name, f"{reason} ({subject})")

    def check_vocabulary(self, ids: Sequence[int], subject: str) -> None:
        """Raise InputError for ids that a user gave and that are no tokens of the model."""
        vocab = self.runner.spec.vocab
        beyond = next((token for token in ids if not 0 <= token < vocab), None)
        if beyond is not None:
            raise InputError(subject, f"{beyond} is no token; the vocabulary has {vocab}")

    def check_length(self, tokens: int, subject: str = "prompt") -> None:
        """Raise ContextError where that many tokens are more than the context in use."""
        if tokens > self.runner.limit:
            reason = f"has {tokens} tokens, more than the context of {self.runner.limit}"
            raise ContextError(subject, reason)

    def token(self, token_id: int) -> Token:
        """A token as inspection shows it."""
        data = self.tokenizer.bytes_of(token_id)
        return Token(token_id, data, self.tokenizer.is_special(token_id))

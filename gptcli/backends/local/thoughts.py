"""What a model thinks before it answers: told apart token by token, counted, ended where told."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gptcli.plain import dataclass
from gptcli.text.stream import TextStream
from gptcli.text.thinking_budget import Budget, Follower
from gptcli.text.thinking_forms import Stage, ThinkingForm
from gptcli.text.thinking_reader import ThinkingReader
from gptcli.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class Thinking:
    """How an answer is read: in which form its thoughts are, and where it begins.

    budget: how many tokens may be thought, None for any number. apart: thoughts are told apart.
    """

    form: ThinkingForm
    stage: Stage = "before"
    budget: int | None = None
    apart: bool = True

    def forced(
        self, tokenizer: Tokenizer, samples: int
    ) -> Callable[[int, Sequence[int]], int | None] | None:
        """See `engine.asking.draws.Forced`, for so many samples: what ends too long a thought."""
        if self.budget is None:
            return None
        most = self.budget
        budgets = [Budget(self.follower(tokenizer), most, self.form.forced) for _ in range(samples)]
        return lambda sample, drawn: budgets[sample].next(drawn)

    def follower(self, tokenizer: Tokenizer) -> Follower:
        """Tells of an answer that is being drawn whether its thoughts are over."""
        return Follower(self.form, self.stage, tokenizer.said_by)


class Thoughts:
    """The thoughts of one answer as it grows."""

    def __init__(self, thinking: Thinking) -> None:
        self._reader = ThinkingReader(thinking.form, thinking.stage)
        self._stream = TextStream()
        #: Tokens that were no part of what is said: thoughts, marks and headers.
        self.tokens = 0
        self._said = False

    @property
    def alone(self) -> bool:
        """Whether something was thought, and no word said."""
        return self.tokens > 0 and not self._said

    def feed(self, token: int, data: bytes) -> tuple[bytes, str]:
        """What a token adds to what is said, and to what is thought."""
        before = self._reader.stage
        self._reader.feed(token, data)
        after = self._reader.stage
        self.tokens += "thinking" in (before, after)
        return self._told(), self._stream.feed(self._reader.thought)

    def finish(self) -> tuple[bytes, str]:
        """What was held back of both."""
        self._reader.finish()
        said = self._told()
        return said, self._stream.feed(self._reader.thought) + self._stream.finish()

    def _told(self) -> bytes:
        self._said = self._said or bool(self._reader.said.strip())
        return self._reader.said

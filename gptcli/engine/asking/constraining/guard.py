"""Which tokens may come next in one text that has to be of a form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gptcli.engine.asking.constraining.words import Words
from gptcli.errors import InputError
from gptcli.plain import dataclass
from gptcli.types.constraints import Constraint

if TYPE_CHECKING:
    from llguidance import LLMatcher

#: One number for each token: whether it may come.
Mask = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class Later:
    """What may come before a text that has to be of a form, as what a model thinks.

    openings: tokens that begin it, as the first ones; begun: whether it has by itself. ends: makes
    what is asked, of one text, whether it is over after all that was drawn.
    """

    openings: tuple[int, ...]
    begun: bool
    ends: Callable[[], Callable[[Sequence[int]], bool]]


class Guard:
    """Follows one text, token by token; what it allows is exact: a token may come where what was
    written and its bytes can become a whole text. Ends of texts may where it is whole.

    Raises InputError from any method where the form asks more than the library's limits give.
    """

    def __init__(
        self,
        matcher: LLMatcher,
        words: Words,
        constraint: Constraint,
        later: Later | None = None,
    ) -> None:
        self._matcher, self._words, self._constraint = matcher, words, constraint
        self._later = later
        self._waiting = later is not None and later.begun
        self._openings = () if later is None or later.begun else later.openings
        self._over = None if later is None else later.ends()
        self._before: list[int] = []
        # Made once: a step takes no fresh memory for it.
        self._bits = np.zeros(words.mask_size, dtype=np.int32)
        self._mask: Mask | None = None

    @property
    def begun(self) -> bool:
        """Whether what has to be of the form has begun."""
        return not self._waiting

    @property
    def whole(self) -> bool:
        """Whether the text may end here."""
        return self.begun and self._matcher.is_accepting()

    @property
    def over(self) -> bool:
        """Whether it must: nothing can follow."""
        if not self.whole:
            return False
        # The library notices late at times that it has stopped.
        return self._matcher.is_stopped() or bool(
            np.count_nonzero(self._here()) == len(self._words.ends)
        )

    @property
    def mask(self) -> Mask | None:
        """Which tokens may come next, (vocab,); None for all of them."""
        if not self.begun:
            return None
        mask = self._here()
        if self._openings:
            mask = mask.copy()
            mask[list(self._openings)] = True
        if not mask.any():
            ends = "a text is whole, and the model knows no end of one"
            why = ends if self.whole else "no token of the model can come next"
            raise InputError(self._constraint.flag, why)
        return mask

    def take(self, token: int) -> None:
        """The text goes on with a token that may come, and is no end of it."""
        self._waiting = self._waiting or token in self._openings
        self._openings = ()
        if self._waiting and self._over is not None:
            self._before.append(token)
            self._waiting = not self._over(self._before)
            return
        self._mask = None
        if not self._matcher.consume_token(token):
            self._fail()

    def follows(self, ids: Sequence[int]) -> bool:
        """Go on with tokens of text as far as they may come; whether all of them do."""
        return self._matcher.try_consume_tokens(list(ids)) == len(ids)

    def copy(self) -> Guard:
        """Another that stands where this one does."""
        found = Guard(self._matcher.deep_copy(), self._words, self._constraint, self._later)
        found._waiting, found._openings = self._waiting, self._openings
        found._before = list(self._before)
        return found

    def forced(self) -> bytes:
        """The bytes that have to come next, as far as that is known."""
        return b"" if self._matcher.is_stopped() else self._matcher.compute_ff_bytes()

    def _here(self) -> Mask:
        if self._mask is None:
            self._mask = self._computed()
        return self._mask

    def _computed(self) -> Mask:
        bits, words = self._bits, self._words
        if self._matcher.is_stopped() and not self._matcher.is_error():
            bits[:] = 0
        else:
            self._matcher.unsafe_compute_mask_ptr(bits.ctypes.data, bits.nbytes)
        if self._matcher.is_error():
            self._fail()
        packed = bits.view(np.uint8)
        mask = np.unpackbits(packed, bitorder="little", count=words.size).view(np.bool_)
        mask[words.ends] = self.whole
        return mask

    def _fail(self) -> None:
        said = self._matcher.get_error().strip().splitlines()
        reason = said[0][:200] if said else "cannot be followed"
        raise InputError(self._constraint.flag, f"is too complex to be followed: {reason}")

"""Attention whose keys and values are made of one latent of each token, for all heads."""

from __future__ import annotations

from gptcli.plain import dataclass


@dataclass(frozen=True)
class Latents:
    """Multi-head latent attention (MLA, arXiv:2405.04434).

    A token leaves behind a latent of `rank` features, normed, and `turned` features that rotate,
    the same for all heads. The key of a head is what a matrix makes of the latent, `plain`
    features, and those that rotate; its value, of `value` features, another matrix makes.

    That the first matrix comes to a query in place of the keys is the same, as is the second coming
    to what is gathered: so there is one head of keys, of rank + turned features, of which the first
    `rank` are its values, and no more is kept.

    eps: of the RMSNorms of latents; query_rank: queries are made of a latent as well, of so many
    features, by itself; bias: of what makes latents.
    """

    rank: int
    plain: int
    turned: int
    value: int
    eps: float
    query_rank: int | None = None
    bias: bool = False

    @property
    def key(self) -> int:
        """Features of what is kept of a token."""
        return self.rank + self.turned

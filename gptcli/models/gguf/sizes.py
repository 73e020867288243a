"""The sizes of a model, and the fields of config.json that most families share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gptcli.models.gguf.fields import Fields

_MOST_EXPERTS = 4096
EMBEDDING, HEAD = "token_embd.weight", "output.weight"
#: Keys that every architecture may have.
KEYS = frozenset(
    {
        "attention.head_count",
        "attention.head_count_kv",
        "attention.key_length",
        "attention.value_length",
        "block_count",
        "context_length",
        "embedding_length",
        "feed_forward_length",
        "vocab_size",
    }
)


@dataclass(frozen=True)
class Sizes:
    """Widths in features, counts of heads, layers and tokens; hidden is the MLP's width."""

    layers: int
    width: int
    heads: int
    kv_heads: int
    head_dim: int
    hidden: int
    vocab: int
    context: int
    tied: bool

    @property
    def queries(self) -> int:
        """The features of all heads together."""
        return self.heads * self.head_dim

    @property
    def keys(self) -> int:
        """The features of all key heads together."""
        return self.kv_heads * self.head_dim


def read(
    fields: Fields,
    *,
    heads: int | None = None,
    kv_heads: int | None = None,
    hidden: int | None = None,
    latent: bool = False,
) -> Sizes:
    """The sizes of a file. Raises ModelError for those that cannot be.

    heads, kv_heads, hidden: of queries, of keys and values, the MLP's width, where they are no one
    number in the file. latent: those of values are others than those of keys, and both are nothing
    that every head has.
    """
    tensors = fields.header.tensors
    if EMBEDDING not in tensors:
        raise fields.error(f"lacks the tensor {EMBEDDING}")
    width, heads = fields.count("embedding_length"), heads or fields.count("attention.head_count")
    if type(kv_heads) is not int or not 0 < kv_heads <= heads:
        kv_heads = fields.count("attention.head_count_kv", heads)
    head_dim = fields.count("attention.key_length", max(1, width // heads))
    if not latent:
        fields.fixed("attention.value_length", head_dim)
    if heads % kv_heads or head_dim % 2:
        raise fields.error(f"cannot have {heads} heads of {head_dim} with {kv_heads} of keys")
    return Sizes(
        layers=fields.layers(),
        width=width,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        hidden=hidden or fields.count("feed_forward_length", 4 * width),
        vocab=fields.count("vocab_size", tensors[EMBEDDING].shape[0]),
        context=fields.count("context_length"),
        tied=HEAD not in tensors,
    )


def experts(fields: Fields) -> tuple[int, int]:
    """How many experts there are in a layer, and how many of them a token goes through."""
    count, used = fields.count("expert_count"), fields.count("expert_used_count")
    if used > count:
        raise fields.error(f"uses {used} experts of {count}")
    # Each becomes tensors of its own, so a number in the header must not be believed.
    if count > _MOST_EXPERTS:
        raise fields.error(f"claims {count} experts, more than any model has")
    return count, used


def config(sizes: Sizes, model_type: str, architecture: str, activation: str) -> dict[str, Any]:
    """The fields of config.json that have the names of Llama's."""
    return {
        "architectures": [architecture],
        "model_type": model_type,
        "attention_dropout": 0.0,
        "hidden_act": activation,
        "hidden_size": sizes.width,
        "initializer_range": 0.02,
        "intermediate_size": sizes.hidden,
        "max_position_embeddings": sizes.context,
        "num_attention_heads": sizes.heads,
        "num_hidden_layers": sizes.layers,
        "num_key_value_heads": sizes.kv_heads,
        "tie_word_embeddings": sizes.tied,
        "vocab_size": sizes.vocab,
    }

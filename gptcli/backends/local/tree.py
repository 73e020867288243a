"""The most probable continuations of a prompt, as a tree."""

from __future__ import annotations

import math
from collections.abc import Iterable

from gptcli.backends.local.open_model import OpenModel
from gptcli.backends.local.prompt_notices import plain_control_token, stray_space
from gptcli.errors import ContextError, UsageError
from gptcli.types.tree import MAX_NODES, Node, Tree, TreeRequest


def answer(model: OpenModel, request: TreeRequest) -> Tree:
    """The most probable continuations, as a tree.

    Raises UsageError for a tree of too many nodes, and the errors of a prompt.
    """
    from gptcli.engine.asking.tree import Branch, TooManyNodesError, TreeGrower

    if not request.min_p and request.nodes > MAX_NODES:
        count = request.nodes
        raise _too_many(f"{count:,} nodes" if count < 10**12 else f"{count:.0e} nodes")
    prompt = model.encode(request.prompt, special=request.special)
    if len(prompt) + request.depth > model.runner.limit:
        reason = f"has {len(prompt)} tokens, with {request.depth} more than the context of"
        raise ContextError("prompt", f"{reason} {model.runner.limit}")
    grower = TreeGrower(
        model.runner,
        depth=request.depth,
        width=request.width,
        least=math.log(request.min_p) if request.min_p else -math.inf,
        end_ids=model.defaults.end_ids,
        most=MAX_NODES,
    )

    def nodes(branches: Iterable[Branch]) -> tuple[Node, ...]:
        return tuple(
            Node(model.token(each.id), each.logprob, each.joint, each.ends, nodes(each.children))
            for each in branches
        )

    try:
        found = nodes(grower.grow(prompt))
    except TooManyNodesError:
        raise _too_many(f"more nodes that are {request.min_p:g} probable") from None
    notices = stray_space(model.tokenizer, request.prompt, "try without it")
    plain = () if request.special else plain_control_token(model.tokenizer, request.prompt)
    return Tree(request, found, len(prompt), model.source, (*notices, *plain))


def _too_many(what: str) -> UsageError:
    return UsageError(
        "--depth, --width",
        f"would make {what}, and {MAX_NODES:,} are allowed",
        "--min-p prunes what is improbable",
    )

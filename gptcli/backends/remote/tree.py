"""The most probable continuations of a prompt, a request for each level or a part of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from gptcli.backends.base import refuse
from gptcli.backends.remote.asking import check_rivals, needs_completions
from gptcli.backends.remote.next_tokens import after
from gptcli.backends.remote.remote_model import RemoteModel
from gptcli.backends.remote.tokens import control_names, prompt_ids
from gptcli.errors import UsageError
from gptcli.types.token import Token
from gptcli.types.tree import MAX_NODES, Node, Tree, TreeRequest

#: How many paths are in one request.
_TOGETHER = 32


@dataclass
class _Branch:
    """A token after a path; ids: of the prompt, the path and itself."""

    token: Token
    logprob: float
    joint: float
    ids: list[int]
    children: list[_Branch] = field(default_factory=list)

    @property
    def node(self) -> Node:
        """It and all below it."""
        below = tuple(each.node for each in self.children)
        return Node(self.token, self.logprob, self.joint, None, below)


def answer(model: RemoteModel, request: TreeRequest) -> Tree:
    """The tree. Nothing is looked for after what is named as a control token.

    Raises UsageError for a tree of too many nodes.
    """
    needs_completions(model)
    server = model.server
    if not (server.ids and server.cutting):
        # As text, a path might be cut into other tokens than those it is made of.
        why = "as it does not take and tell token ids"
        refuse(model.answered_by, request, why, "gptcli next looks one token ahead")
    check_rivals(model, "--width", request.width, server.logprobs)
    if not request.min_p and request.nodes > MAX_NODES:
        reason = f"would make {request.nodes:,} nodes, and {MAX_NODES:,} are allowed"
        raise UsageError("--depth, --width", reason, "--min-p prunes what is improbable")
    ids = prompt_ids(model, request.prompt)
    root = _Branch(Token(None, b""), 0.0, 0.0, ids)
    level, count = [root], 0
    for _ in range(request.depth):
        _grow(model, level, request)
        level = [child for branch in level for child in branch.children if not child.token.special]
        count += len(level)
        if count > MAX_NODES:
            reason = f"would make more than {MAX_NODES:,} nodes"
            raise UsageError("--depth, --width", reason, "a larger --min-p prunes more")
    found = tuple(each.node for each in root.children)
    notices = () if request.special else control_names(model, request.prompt, "prompt")
    return Tree(request, found, len(ids), model.source, notices)


def _grow(model: RemoteModel, level: list[_Branch], request: TreeRequest) -> None:
    least = math.log(request.min_p) if request.min_p else -math.inf
    for at in range(0, len(level), _TOGETHER):
        some = level[at : at + _TOGETHER]
        rows, _ = after(model, [branch.ids for branch in some], request.width)
        for branch, row in zip(some, rows, strict=True):
            for token, logprob in row[: request.width]:
                joint = branch.joint + logprob
                if joint >= least and token.id is not None:
                    ids = [*branch.ids, token.id]
                    branch.children.append(_Branch(token, logprob, joint, ids))

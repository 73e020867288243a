"""DeepSeek's fields of mixtures, and what cannot be."""

from __future__ import annotations

import pytest

from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.expert_fields import corrected, greedy
from gptcli.engine.model.experts import Groups, SharedExpert
from gptcli.errors import ModelError

V3 = {
    "moe_intermediate_size": 2048,
    "n_group": 8,
    "n_routed_experts": 256,
    "n_shared_experts": 1,
    "norm_topk_prob": True,
    "num_experts_per_tok": 8,
    "routed_scaling_factor": 2.5,
    "scoring_func": "sigmoid",
    "topk_group": 4,
    "topk_method": "noaux_tc",
}
V2 = V3 | {
    "moe_intermediate_size": 1536,
    "n_group": 8,
    "n_routed_experts": 160,
    "n_shared_experts": 2,
    "norm_topk_prob": False,
    "num_experts_per_tok": 6,
    "routed_scaling_factor": 16.0,
    "scoring_func": "softmax",
    "topk_group": 3,
    "topk_method": "group_limited_greedy",
}
DEFAULTS = {"count": 64, "chosen": 6, "hidden": 1408, "normalised": False, "scale": 1.0}


def fields(**given) -> ConfigFields:
    return ConfigFields("config.json", given)


def test_published_routings():
    """Catches groups by another measure, a correction that is not there, or a scale left out."""
    found = corrected(fields(**V3), **DEFAULTS)
    assert (found.count, found.chosen, found.hidden, found.scale) == (256, 8, 2048, 2.5)
    assert found.score == "sigmoid" and found.correction and found.normalised
    assert found.groups == Groups(8, 4, 2) and found.shared == SharedExpert(2048)
    found = greedy(fields(**V2), **DEFAULTS)
    assert found.score == "softmax" and not found.correction and not found.normalised
    assert found.groups == Groups(8, 3, 1) and found.shared == SharedExpert(3072)
    # V2-Lite states groups of one, and chooses among all.
    lite = V2 | {"topk_method": "greedy", "n_group": 1, "topk_group": 1, "n_routed_experts": 64}
    assert greedy(fields(**lite), **DEFAULTS).groups is None
    assert greedy(fields(**V2 | {"topk_method": "greedy"}), **DEFAULTS).groups is None
    none = corrected(fields(n_shared_experts=0), **DEFAULTS)
    assert none.shared is None and none.count == 64


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"n_group": 7}, "'n_group' 7 does not divide 256 experts"),
        ({"topk_group": 9}, "'topk_group' is 9, but there are 8"),
        ({"n_group": 256}, "'n_group' is 256, which leaves 1 experts in a group, too few"),
        ({"topk_group": 1, "num_experts_per_tok": 33}, "'n_group' is 8, which leaves 32"),
        ({"num_experts_per_tok": 257}, "'num_experts_per_tok' is 257, but there are 256"),
        ({"scoring_func": "softmax"}, "'scoring_func'"),
        ({"topk_method": "greedy"}, "'topk_method'"),
        ({"n_shared_experts": False}, "'n_shared_experts'"),
    ],
)
def test_what_cannot_be(change, named):
    """Catches a router that would choose among nothing, found out only by numbers that are none."""
    with pytest.raises(ModelError, match=named):
        corrected(fields(**V3 | change), **DEFAULTS)

"""Models that are too large for most machines, by their headers: that they would load."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from gptcli.engine.cpu.packing.sections import shapes as shapes_of
from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.experts import SharedExpert
from gptcli.engine.model.families import OTHER_TYPES, read_spec
from gptcli.engine.model.mixers import MemoryNorm, Recurrence, ShortConv
from gptcli.engine.model.rotations import Rope, YarnScaling
from gptcli.engine.weights.checkpoint import Checkpoint, SourceTensor
from gptcli.engine.weights.matching import place
from gptcli.errors import ModelError
from gptcli.formats.stored import StoredFiles
from tests.engine.helpers import few_of
from tests.engine.model import published, published_hybrids
from tests.engine.model.published_configs import CONFIGS
from tests.engine.model.published_gemma4 import GEMMA4, GEMMA4_TENSORS
from tests.engine.model.published_latents import LATENT, MODELS
from tests.engine.model.published_later import LATER
from tests.engine.model.published_lfm2 import LFM2
from tests.engine.model.published_mixtures import MIXTURES
from tests.golden_cases import CASES

pytestmark = pytest.mark.slow

PUBLISHED = published.PUBLISHED | MIXTURES | published_hybrids.LARGE | MODELS | GEMMA4_TENSORS
PUBLISHED |= LFM2
SMALL = CONFIGS | LATER | published_hybrids.SMALL | LATENT | GEMMA4
#: Of hundreds of experts: they take seconds, and their rules are those of others.
LARGEST = {*MODELS, "Qwen3-Next-80B", "GLM-4.5-Air"}
EACH = [
    pytest.param(name, marks=pytest.mark.faults if name in LARGEST else ()) for name in PUBLISHED
]
DTYPES = {"F32": torch.float32, "BF16": torch.bfloat16, "U8": torch.uint8}


def checkpoint_of(model: published.Published) -> Checkpoint:
    """A checkpoint of which only the headers exist."""
    checkpoint = Checkpoint(StoredFiles(Path("m"), (), {}))
    checkpoint.tensors = {
        name: SourceTensor(name, Path("m/model.safetensors"), shape, DTYPES[dtype])
        for name, shape, dtype in model.tensors
    }
    return checkpoint


@pytest.mark.parametrize("name", EACH)
def test_lists_have_the_published_size(name):
    """Catches a list written down wrongly, which would prove a rule that is wrong as well."""
    model = PUBLISHED[name]()
    sizes = [math.prod(s) * DTYPES[d].itemsize for _, s, d in model.tensors]
    assert sum(sizes) == model.total_size


@pytest.mark.parametrize("name", EACH)
def test_every_tensor_has_its_place(name):
    """Catches a name or a shape that only a machine with hundreds of GB would find out about."""
    model = PUBLISHED[name]()
    family, spec = read_spec(ConfigFields("config.json", model.config))
    # The kernels' list, which is the decoder's, takes no time to build thousands of modules.
    shapes = shapes_of(spec)
    checkpoint = checkpoint_of(model)
    placed = place(checkpoint, family.rules(spec), shapes, spec.layers)
    filled = [t for p in placed for targets in p.layout.targets for t in targets]
    assert sorted(filled) == sorted(shapes)
    used = {stored.name for p in placed for stored in p.stored}
    left = {n for n in checkpoint.tensors if n not in used}
    assert left == {n for n in checkpoint.tensors if n.startswith(model.left_out)}


@pytest.mark.parametrize("name", [name for name in PUBLISHED if name not in LARGEST])
def test_a_missing_or_unknown_tensor_is_told(name):
    """Catches rules that would let a large model load with something left out."""
    model = PUBLISHED[name]()
    family, spec = read_spec(ConfigFields("config.json", model.config))
    # The kernels' list, which is the decoder's, takes no time to build thousands of modules.
    shapes = shapes_of(spec)
    checkpoint = checkpoint_of(model)
    used = [n for n in checkpoint.tensors if "layers" in n and not n.startswith(model.left_out)]
    last = used[-1]
    stored = checkpoint.tensors.pop(last)
    with pytest.raises(ModelError, match="missing"):
        place(checkpoint, family.rules(spec), shapes, spec.layers)
    checkpoint.tensors[last] = stored
    odd = last + "_scale_inv"
    checkpoint.tensors[odd] = SourceTensor(odd, stored.file, (1,), torch.bfloat16)
    with pytest.raises(ModelError, match="not part of a model"):
        place(checkpoint, family.rules(spec), shapes, spec.layers)


def test_facts_of_the_published_models():
    """Catches a field that is read, but under another name than the published configs have."""
    specs = {
        name: read_spec(ConfigFields("config.json", PUBLISHED[name]().config))[1]
        for name in PUBLISHED
    }
    gemma = specs["Gemma-3-27B"]
    assert [i for i, each in enumerate(gemma.each_layer) if each.window is None][:2] == [5, 11]
    wide, near = gemma.each_layer[5].rope, gemma.each_layer[0].rope
    assert wide is not None and near is not None
    assert (wide.theta, near.theta, near.scaling) == (1e6, 1e4, None)
    assert gemma.context == 131072 and gemma.attention_scale == 168**-0.5
    oss = specs["gpt-oss-120b"]
    assert {each.window for each in oss.each_layer} == {128, None}
    assert oss.context == 131072 and oss.experts is not None and oss.experts.chosen == 4
    assert specs["Mixtral-8x7B"].each_layer[0].window is None
    assert specs["Qwen3-32B"].head_dim == 128 and specs["Qwen3-32B"].context == 40960
    assert specs["Llama-3.1-70B"].group == 8
    liquid = specs["LFM2-2.6B"]
    assert liquid.attending == (2, 5, 9, 13, 17, 21, 24, 27) and liquid.hidden == 10752
    assert liquid.each_layer[0].mixer == ShortConv(2048, 3) and liquid.context == 128000
    assert liquid.each_layer[2].rope == Rope(1e6, 64) and liquid.tied


def test_facts_of_hybrids():
    """Catches fields of mixers, mixtures and multipliers that real configs name otherwise."""
    known = {name: model().config for name, model in published_hybrids.LARGE.items()}
    known |= {name: fields for name, (fields, _) in published_hybrids.SMALL.items()}
    specs = {name: read_spec(ConfigFields("config.json", each))[1] for name, each in known.items()}
    nano = specs["Nemotron-3-Nano"]
    mixer = nano.each_layer[0].mixer
    assert isinstance(mixer, Recurrence) and mixer.steps == (0.001, math.inf)
    assert mixer.norm == MemoryNorm(1e-5, 512, shared=False, gate_first=True)
    assert nano.attending == (5, 12, 19, 26, 33, 42) and nano.mixtures == 23
    assert nano.experts is not None and nano.experts.shared == SharedExpert(3712)
    assert (nano.experts.chosen, nano.experts.scale) == (6, 2.5)
    falcon = specs["Falcon-H1-0.5B"]
    assert len(falcon.attending) == 36 and falcon.attention_scale == 64**-0.5 * 0.39062499999999994
    assert falcon.attention_out_scale == 0.9375 and falcon.gate_scale == 0.8838834764831844
    assert [len(specs[name].attending) for name in ("Bamba-9B", "granite-4.0-h-small")] == [3, 4]
    rope = specs["Bamba-9B"].each_layer[9].rope
    assert rope is not None and rope.dim == 64
    assert specs["granite-4.0-h-small"].each_layer[5].rope is None
    coming = specs["Qwen3-Next-80B"]
    assert len(coming.attending) == 12 and coming.mixtures == 48
    assert coming.experts is not None and coming.experts.shared == SharedExpert(512, gated=True)


def test_every_family_has_a_published_config():
    """Catches a family whose real configs nobody has looked at."""
    configs = [PUBLISHED[name]().config for name in PUBLISHED]
    configs += [fields for fields, _ in SMALL.values()]
    # Of a model that sees, its text may be a family of its own as well.
    texts = {each.get("text_config", {}).get("model_type") for each in configs}
    found = {each["model_type"] for each in configs} - OTHER_TYPES.keys()
    kinds = {case.kind for case in CASES.values()}
    assert found <= kinds <= found | texts


def test_facts_of_later_models():
    """Catches what their published fields say besides sizes."""
    specs = {
        name: read_spec(ConfigFields("config.json", fields))[1]
        for name, (fields, _) in LATER.items()
    }
    for name, theta in (("Qwen2-VL-2B", 1e6), ("Qwen2.5-VL-7B", 1e6), ("Qwen3-VL-4B", 5e6)):
        assert {each.rope for each in specs[name].each_layer} == {Rope(theta, 128)}, name
    olmo = specs["Olmo-3-7B"].each_layer
    assert [i for i, each in enumerate(olmo) if each.window is None][:3] == [3, 7, 11]
    assert olmo[0].rope == Rope(5e5, 128)
    assert olmo[3].rope is not None and isinstance(olmo[3].rope.scaling, YarnScaling)
    command = specs["c4ai-command-r7b"].each_layer
    assert command[2].rope == Rope(5e4, 128, interleaved=True) and command[2].window == 4096
    assert command[3].rope is None and command[3].window is None
    assert all(each.rope for each in specs["EXAONE-4.0-1.2B"].each_layer)
    # As transformers has it: 10000 · 1000 ^ (128 / 126).
    rope = specs["Hunyuan-0.5B"].each_layer[0].rope
    assert rope is not None and math.isclose(rope.theta, 11158839.9, rel_tol=1e-8)
    assert specs["Hunyuan-0.5B"].context == 32768
    assert specs["GLM-4-9B-0414"].each_layer[0].rope == Rope(1e4, 64, interleaved=True)
    assert specs["AFM-4.5B"].activation == "relu_squared" and not specs["AFM-4.5B"].gated


@few_of(SMALL, SMALL.keys() - {"Kimi-K2.5"}, of="name")  # of so many experts that it takes seconds
def test_published_configs_make_models_of_the_published_size(name):
    """Catches a default, a bias or a tied head that real configs mean otherwise."""
    fields, published = SMALL[name]
    _, spec = read_spec(ConfigFields("config.json", fields))
    # The two rows of positions that OPT stores and does not use.
    spare = 2 * spec.width if fields["model_type"] == "opt" else 0
    assert sum(map(math.prod, shapes_of(spec).values())) + spare == published

"""Make tests/goldens: tiny random checkpoints, and the logits that transformers computes on them.

Run `python tests/make_goldens.py` (or with case names: `… llama/linear`) after adding a case to
golden_cases.py, and commit what it writes. Each case is a model directory as transformers saves
it, plus `golden.safetensors` with `ids` (batch, time) and `logits` (batch, time, vocab), in
float32; some hold the same of a short text, or in bfloat16. At the end the largest difference of
each family from our engine is written down, for `gptcli models families`.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import load_file, save_file

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.golden_cases import CASES, Case
from tests.oracle import kind_of, that_reads

GOLDENS = Path(__file__).parent / "goldens"
TIME = 40
#: Families whose order of roundings is compared as well.
ALSO_BFLOAT16 = {"gemma", "gemma2", "gemma3_text", "gemma4_text"}


def randomise(model: torch.nn.Module) -> None:
    """Give every parameter values that matter: a norm of ones or a bias of zeros hides mistakes.

    Norms stay around what they begin with, 1, or 0 where it is added to 1, and around 0 where
    that is added although they begin with 1.
    """
    added = float(model.config.model_type == "nemotron")
    for name, parameter in sorted(model.named_parameters()):
        noise = 0.3 * torch.randn(parameter.shape)
        is_norm = parameter.dim() == 1 and name.endswith("weight")
        begun = parameter.data - added if is_norm else 0.0
        parameter.data.copy_(begun + noise)
    for name, buffer in sorted(model.named_buffers()):
        # Weights that are not trained: they begin with 0, or scale by 1.
        if name.endswith(("e_score_correction_bias", "expert_bias")):
            buffer.data.copy_(0.3 * torch.randn(buffer.shape))
        if name.endswith("layer_scalar"):
            buffer.data.add_(0.3 * torch.randn(buffer.shape))


def build(case: Case) -> Any:
    """The model, in float32."""
    config = transformers.AutoConfig.for_model(case.kind, **case.fields)
    model = kind_of(config).from_config(config, attn_implementation=case.attention)
    randomise(model)
    return model.float().eval()


def pack(model: Any) -> dict[str, torch.Tensor]:
    """Put numbers of MXFP4 into the experts; gives what a checkpoint stores of them."""
    from transformers.integrations.mxfp4 import convert_moe_packed_tensors

    stored = {}
    for name, parameter in model.named_parameters():
        if name.endswith(("gate_up_proj", "down_proj")):
            count, inner, out = parameter.shape
            blocks = torch.randint(256, (count, out, inner // 32, 16), dtype=torch.uint8)
            scales = torch.randint(120, 125, blocks.shape[:-1], dtype=torch.uint8)
            numbers = convert_moe_packed_tensors(blocks, scales, dtype=torch.float32)
            parameter.data.copy_(numbers)
            stored |= {f"{name}_blocks": blocks, f"{name}_scales": scales}
    return stored


def store_packed(directory: Path, packed: dict[str, torch.Tensor]) -> None:
    """Replace the plain experts of a saved checkpoint."""
    plain = load_file(directory / "model.safetensors")
    for name in {name.rsplit("_", 1)[0] for name in packed}:
        del plain[name]
    save_file(plain | packed, directory / "model.safetensors")
    config = json.loads((directory / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "mxfp4"}
    (directory / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def store_stacked(directory: Path) -> None:
    """Put the experts of a saved checkpoint into two stacks, as Qwen3.5's are published."""
    plain = load_file(directory / "model.safetensors")
    stacks: dict[str, dict[int, dict[str, torch.Tensor]]] = {}
    for name in list(plain):
        block, found, rest = name.partition(".experts.")
        if found:
            number, part, _ = rest.split(".")
            stacks.setdefault(block + found, {}).setdefault(int(number), {})[part] = plain.pop(name)
    for block, experts in stacks.items():
        each = [experts[number] for number in sorted(experts)]
        both = [torch.cat([one["gate_proj"], one["up_proj"]]) for one in each]
        plain[f"{block}gate_up_proj"] = torch.stack(both)
        plain[f"{block}down_proj"] = torch.stack([one["down_proj"] for one in each])
    save_file(plain, directory / "model.safetensors")


def rename(directory: Path) -> None:
    """Give Kimi's layers of text the name that they are published under.

    transformers reads that as well, and writes the name that layers have in what sees.
    """
    stored = load_file(directory / "model.safetensors")
    written, published = "language_model.model.blocks.", "language_model.model.layers."
    named = {name.replace(written, published): part for name, part in stored.items()}
    save_file(named, directory / "model.safetensors")


def make(name: str) -> None:
    """Write one case."""
    case = CASES[name]
    directory = GOLDENS / name
    shutil.rmtree(directory, ignore_errors=True)
    torch.manual_seed(sum(name.encode()) + case.seed)
    model = build(case)
    packed = pack(model) if case.packed else {}
    model.save_pretrained(directory, max_shard_size=case.shard)
    if packed:
        store_packed(directory, packed)
    if case.stacked:
        store_stacked(directory)
    if case.kind == "kimi_k25":
        rename(directory)
    ids = torch.randint(0, model.config.get_text_config().vocab_size, (2, TIME))
    golden = {"ids": ids, "logits": logits(model, ids)}
    if case.short:
        golden["short_logits"] = logits(model, ids[:, : case.short])
    if case.kind in ALSO_BFLOAT16:
        # Opened anew: a cast would also round the frequencies of rope.
        kind, attention = type(model), case.attention
        half = kind.from_pretrained(directory, dtype=torch.bfloat16, attn_implementation=attention)
        golden["bfloat16_logits"] = logits(half.eval(), ids)
    save_file(golden, directory / "golden.safetensors")
    (directory / "generation_config.json").unlink(missing_ok=True)


@torch.no_grad()
def logits(model: Any, ids: torch.Tensor) -> torch.Tensor:
    """Of all positions, row by row: nothing may depend on the other rows."""
    reader = that_reads(model)
    rows = [reader(row[None], use_cache=False).logits for row in ids]
    return torch.cat(rows).contiguous()


def measure() -> None:
    """Write down the largest difference of each family."""
    from gptcli.engine.model.families import DIFFERENCES
    from tests.engine.helpers import difference

    found: dict[str, float] = {}
    for name in CASES:
        family = CASES[name].kind
        found[family] = max(found.get(family, 0.0), difference(name))
    rounded = {family: float(f"{found[family]:.2g}") for family in sorted(found)}
    DIFFERENCES.write_text(json.dumps(rounded, indent=2) + "\n")


if __name__ == "__main__":
    torch.set_num_threads(1)  # sums in one order
    for each in sys.argv[1:] or CASES:
        make(each)
        print(each)
    measure()

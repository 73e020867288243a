"""In which kinds a model runs that is in a GGUF file, where nobody asks for a dtype."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from gptcli import units
from gptcli.engine.cpu.binding.abi import Kind
from gptcli.engine.cpu.packing.parameters import Parameters
from gptcli.engine.cpu.packing.sections import EMBEDDING, UNEMBEDDING, Kinds, sections
from gptcli.engine.model.spec import ModelSpec
from gptcli.formats import ggml_blocks
from gptcli.formats.stored import StoredFiles
from gptcli.types.events import Notice

#: By what `Parameters.kind` calls the form; anything else is dequantised into bfloat16.
_KINDS = {kind.name: kind for kind in Kind} | {
    "F32": Kind.FLOAT32,
    "F16": Kind.FLOAT16,
    "BF16": Kind.BFLOAT16,
}
_ANY = Kinds(Kind.Q4_K, Kind.Q8_0, Kind.BFLOAT16)


def kept_kinds(parameters: Parameters, spec: ModelSpec) -> tuple[str, Kinds]:
    """The kinds that change no number of a file, matrix by matrix, and what to call them together.

    The name has the kinds of the matrices that tokens go through, that of most numbers first.
    """
    numbers: Counter[Kind] = Counter()
    own: dict[str, Kind] = {}
    for section in sections(spec, _ANY):
        if section.form != "matrix" or section.name != section.parameter:
            continue
        kind = _KINDS.get(parameters.kind(section.name), Kind.BFLOAT16)
        own[section.name] = kind
        if section.name != EMBEDDING or spec.tied:
            numbers[kind] += section.rows * section.columns
    head = own[EMBEDDING if spec.tied else UNEMBEDDING]
    told = [kind for kind, _ in numbers.most_common()]
    name = "+".join(kind.name.lower() for kind in told)
    return name, Kinds(told[0], head, own[EMBEDDING], own)


def not_kept(stored: StoredFiles) -> Iterator[Notice]:
    """What becomes larger than it is stored, since the kernels have no such blocks."""
    kinds: dict[str, None] = {}
    before = after = 0
    for tensor in stored.tensors.values():
        taken = tensor.taken
        if taken and ggml_blocks.are_blocks(tensor.kind) and tensor.kind not in ggml_blocks.SIZES:
            kinds[tensor.kind] = None
            before, after = before + taken.size, after + 2 * tensor.elements
    if kinds:
        text = f"has {units.size(before)} of weights in blocks that the kernels do not keep"
        text += f" ({', '.join(kinds)}): they take {units.size(after)} in bfloat16"
        yield Notice(str(stored.files[0]), text)

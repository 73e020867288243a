"""In which kinds a model runs that is stored in ggml's blocks, where nobody asks for a dtype."""

from __future__ import annotations

import re
from collections import Counter

from gptcli.engine.cpu.binding.abi import KEEPING, Kind
from gptcli.engine.cpu.packing.parameters import Parameters
from gptcli.engine.cpu.packing.sections import Kinds, Section, sections
from gptcli.engine.model.spec import ModelSpec

#: By what `Parameters.kind` calls the form.
_KINDS = {form.name: kind for form, kind in KEEPING.items()}
_ANY = Kinds(Kind.INT4, Kind.INT8, Kind.BFLOAT16)


def kept_kinds(parameters: Parameters, spec: ModelSpec) -> tuple[str, Kinds]:
    """The kinds that change no number of the blocks, and what to call them together.

    A section all of whose parts have blocks of one kind keeps these, any other is bfloat16. The
    name has the kinds of the layers' matrices, that of most numbers first, and the head's; 8 bits
    of a head beside layers of 4 go without saying, as they do in int4.
    """
    groups: dict[str, list[Section]] = {}
    for section in sections(spec, _ANY):
        if section.form == "matrix" and section.kind is not _ANY.table:
            # The kernels ask the first expert of a layer what all of them need.
            group = re.sub(r"\.experts\.\d+\.", ".experts.", section.name)
            groups.setdefault(group, []).append(section)
    found = {group: _kind(parameters, members) for group, members in groups.items()}
    head = found.pop("head")
    numbers: Counter[Kind] = Counter()
    for group, kind in found.items():
        numbers[kind] += sum(sum(each.rows) * each.columns for each in groups[group])
    body = numbers.most_common(1)[0][0]
    own = {each.name: kind for group, kind in found.items() for each in groups[group]}
    own = {name: kind for name, kind in own.items() if kind is not body}
    told = [kind for kind, _ in numbers.most_common()]
    usual = head is Kind.INT8 and body is Kind.INT4
    if head not in told and not usual:
        told.append(head)
    return "+".join(kind.name.lower() for kind in told), Kinds(body, head, Kind.BFLOAT16, own)


def _kind(parameters: Parameters, members: list[Section]) -> Kind:
    parts = [name for each in members for name in each.parts]
    kinds = {_KINDS.get(parameters.kind(name), Kind.BFLOAT16) for name in parts}
    return kinds.pop() if len(kinds) == 1 else Kind.BFLOAT16

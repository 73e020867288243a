"""In which kinds a model's matrices are packed, by what --dtype names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from gptcli.engine.cpu.binding.abi import FLOATS, Kind
from gptcli.engine.cpu.binding.library import Library
from gptcli.engine.cpu.packing import told_kinds
from gptcli.engine.cpu.packing.section import EMBEDDING, LAYER_TABLE, UNEMBEDDING, Kinds, Section
from gptcli.engine.cpu.packing.sections import sections
from gptcli.engine.cpu.packing.told_kinds import Changed, Kept
from gptcli.engine.describe import Described
from gptcli.engine.model.spec import ModelSpec
from gptcli.formats import quantization
from gptcli.formats.stored import StoredTensor
from gptcli.plain import dataclass
from gptcli.types.compute import QUANTISED

if TYPE_CHECKING:
    from gptcli.engine.cpu.packing.parameters import Parameters

#: The dtypes that the kernels have.
DTYPES = ("float32", "float16", "bfloat16", *QUANTISED)
_DTYPES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}
#: The kinds of 8 bits, which lose little where they are rounded once more.
_EIGHT = (Kind.Q8_0, Kind.FLOAT8, Kind.AFFINE8_32, Kind.AFFINE8_64, Kind.AFFINE8_128)


@dataclass(frozen=True)
class Chosen:
    """The kinds of a model and what to call them.

    changed: see `kept_kinds`, where all is to be kept; grids: those of the weights, where they were
    looked for; rounded: what is stored in few bits and becomes other blocks, see `_anew`; kept: the
    kinds that keep everything, where these are meant.
    """

    name: str
    kinds: Kinds
    changed: Changed | None = None
    grids: str | None = None
    rounded: tuple[str, ...] = ()
    kept: Kept | None = None


@dataclass(frozen=True)
class Known:
    """What headers of packed weights tell of a model's: grids, and kinds that keep its numbers."""

    grids: str | None = None
    kinds: str | None = None


def chosen_kinds(dtype: str, described: Described, library: Library, known: Known) -> Chosen | None:
    """The kinds in which a model runs where --dtype says this, None for a dtype that has none.

    `auto` is the dtype of the file, and of a file in blocks or codes what each matrix is.
    """
    spec, stored = described.spec, described.stored
    in_codes = quantization.in_codes(described.config.get, stored)
    if dtype == "auto" and (stored.in_gguf or in_codes):
        return _all_kept(_kept(described, known))
    name = _stored_dtype(stored.tensors.values()) if dtype == "auto" else dtype
    if name not in DTYPES:
        return None
    if name in QUANTISED and in_codes:
        return smaller_kinds(name, described, library, _kept(described, known))
    if name != "int4":
        return Chosen(name, kinds_of(name, spec))
    from gptcli.engine.cpu.packing import grids

    on = None if known.grids is None else grids.from_text(known.grids, spec)
    if on is None:
        on = grids.grids(_parameters(described), spec, library)
    return Chosen(name, kinds_of(name, spec, on), grids=grids.as_text(on, spec))


def _kept(described: Described, known: Known) -> Kept:
    """The kinds that keep a file's numbers, as they are known, else by looking at each tensor."""
    spec = described.spec
    kept = None if known.kinds is None else told_kinds.from_text(known.kinds, spec)
    if kept is None:
        from gptcli.engine.cpu.packing.kinds import kept_kinds

        kept = kept_kinds(_parameters(described), spec)
    return kept


def _all_kept(kept: Kept) -> Chosen:
    return Chosen(kept.name, kept.kinds, kept.changed, kept=kept)


def _parameters(described: Described) -> Parameters:
    from gptcli.engine.cpu.packing.parameters import Parameters

    return Parameters(described, exact=True)


def kinds_of(dtype: str, spec: ModelSpec, on: Mapping[str, Kind] | None = None) -> Kinds:
    """The kinds of a dtype, one of DTYPES, for weights that are floats.

    int8 rounds embeddings too; routers stay in bfloat16. on: grids, see `int4_kinds`.
    """
    if dtype == "int4":
        from gptcli.engine.cpu.packing.widths import int4_kinds

        return int4_kinds(spec, on)
    if dtype == "int8":
        tables = dict.fromkeys((EMBEDDING, LAYER_TABLE), Kind.Q8_0)
        return Kinds(Kind.Q8_0, Kind.Q8_0, Kind.BFLOAT16, tables)
    return Kinds.all(Kind[dtype.upper()])


def smaller_kinds(dtype: str, described: Described, library: Library, found: Kept) -> Chosen:
    """The kinds of int8 or int4 for a file of blocks or codes.

    To round these anew only loses: all of them are kept where the dtype's would take no less, else
    those that take no more than the dtype's. Matrices that read the same in an order of their own
    stay or go together.
    """
    spec, kept = described.spec, found.kinds
    asked, panel = kinds_of(dtype, spec), library.functions.kernels_panel_bytes
    sizes = {
        section.name: tuple(
            replace(section, kind=kind).bytes(panel) for kind in (kept.own[section.name], new)
        )
        for section, new in _with_kinds(spec, asked)
    }
    before, after = (sum(pair) for pair in zip(*sizes.values(), strict=True))
    if before <= after:
        return _all_kept(found)
    together = [sizes[each] for each in kept.ordered]
    stay = sum(pair[0] for pair in together) <= sum(pair[1] for pair in together)
    own: dict[str, Kind] = {}
    for section, new in _with_kinds(spec, asked):
        old, (size, least) = kept.own[section.name], sizes[section.name]
        held = stay if section.name in kept.ordered else size <= least and old not in FLOATS
        own[section.name] = old if held else new
    head = own[EMBEDDING if spec.tied else UNEMBEDDING]
    ordered = kept.ordered if stay else frozenset()
    kinds = replace(asked, head=head, own=own, ordered=ordered)
    return Chosen(dtype, kinds, rounded=_anew(_parameters(described), kinds, spec))


def _anew(parameters: Parameters, kinds: Kinds, spec: ModelSpec) -> tuple[str, ...]:
    """What is stored in less than 8 bits and becomes other blocks, in the words of the format."""
    found: dict[str, None] = {}
    for section, new in _with_kinds(spec, kinds):
        old, form = parameters.kind(section.name), parameters.form(section.name)
        floats = old in FLOATS or form in _DTYPES
        if not floats and old not in (new, *_EIGHT) and new not in FLOATS:
            found[form] = None
    return tuple(found)


def _with_kinds(spec: ModelSpec, kinds: Kinds) -> Iterator[tuple[Section, Kind]]:
    """A section for each matrix that is stored, and what it is in these kinds."""
    found = {section.name: section.kind for section in sections(spec, kinds)}
    for section in told_kinds.matrices(spec):
        yield section, found[section.name]


def _stored_dtype(tensors: Iterable[StoredTensor]) -> str:
    """The float dtype that most numbers are stored in."""
    counts = dict.fromkeys(_DTYPES, 0)
    for tensor in tensors:
        if tensor.kind in counts:
            counts[tensor.kind] += tensor.elements
    return _DTYPES[max(counts, key=lambda kind: counts[kind])]

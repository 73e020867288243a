"""`gptcli models show` and `gptcli models families`: what a model is, and which kinds there are."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

from gptcli import models
from gptcli.backends import free_memory
from gptcli.cli.environment import Environment
from gptcli.cli.flags.groups import but, only
from gptcli.cli.flags.model_argument import ModelArgument
from gptcli.cli.flags.output import Output
from gptcli.cli.input.model_argument import here
from gptcli.config import option
from gptcli.errors import ModelError, UsageError
from gptcli.formats import model_files
from gptcli.plain import dataclass
from gptcli.types.compute import Compute
from gptcli.ui.terminal.progress import watch
from gptcli.ui.views import families as families_view
from gptcli.ui.views import offers
from gptcli.ui.views.printing import pairs
from gptcli.units import millions, size

if TYPE_CHECKING:
    from gptcli.backends.local.needs import Needs


@dataclass(frozen=True)
class Variants:
    """Whether the hub is asked."""

    variants: bool = option(
        False,
        "Ask the hub what it has of a repository, also where a variant is here.",
        brief="What the hub has of it, and whether it fits.",
    )


def show(
    environment: Environment,
    name: ModelArgument,
    asked: Variants,
    compute: Annotated[Compute, only("dtype", "ctx_size", "kv_dtype")],
    output: Annotated[
        Output, but(quiet=None, json="Print a JSON object: what it is, and the memory it takes.")
    ],
) -> None:
    """Say what a model is, and what memory it takes.

    Family, parameters, layers, how many of them have attention and how many carry a state in its
    place, heads, context, vocabulary, dtype, how it is quantised, size, licence and source; the
    bytes of its weights, those of the KV cache of the context in use and of a token, those of
    states, and what it computes with, against what is free in main memory. These are told in the
    dtype that it runs in, or in the one given. What of a quantised model does not run as it is
    stored is told with the bytes that it takes in place of those, and what of a checkpoint is left
    out, such as what sees images; so is how a model marks what it thinks, and by which variables
    its chat template is told how to. Of a repository of the hub that is not here, the hub tells its
    variants, their sizes and whether they fit; --variants asks it in any case.
    """
    found = None if asked.variants else models.find(name.name)
    asking = None if found else models.offer(name.name)
    if asking is not None:
        offer, room = watch(asking, output.messages(environment)), free_memory()
        if output.json:
            environment.data().json(offers.as_json(offer, room))
        else:
            offers.show_variants(offer, room, environment.stdout)
        return
    if asked.variants:
        raise UsageError("--variants", f"{name.name} is no repository of the Hugging Face hub")
    from gptcli.backends.local.needs import needs
    from gptcli.backends.local.thinking_facts import thinking_facts

    model = here(name.name)
    files = model_files.read(model.path)
    facts = models.facts_of(model, files)
    needed, reason = None, None
    try:
        limit, kv_dtype = compute.ctx_size, compute.kv_dtype
        needed = needs(files, dtype=compute.dtype, limit=limit, kv_dtype=kv_dtype)
    except ModelError as error:
        reason = error.reason
    thinking = thinking_facts(model.path)
    parameters = facts.parameters if needed is None else needed.parameters
    heads = facts.heads if needed is None else needed.heads
    kv_heads = facts.kv_heads if needed is None else needed.kv_heads
    layers = facts.layers if needed is None else needed.layers
    width = facts.width if needed is None else needed.width
    context = facts.context if needed is None else needed.longest
    vocabulary = facts.vocabulary if needed is None else needed.vocabulary
    if output.json:
        memory = None
        left_out = [asdict(each) for each in needed.left_out] if needed else []
        if needed is not None:
            memory = {
                "dtype": needed.dtype,
                "context": needed.context,
                "weights": needed.weights,
                "cache": needed.cache,
                "cache_per_token": needed.each_token,
                "state": needed.state,
                "scratch": needed.scratch,
                "available": needed.available,
            }
            if needed.dequantised is not None:
                memory["dequantised"] = asdict(needed.dequantised)
        environment.data().json(
            {
                "name": facts.name,
                "family": facts.family,
                "parameters": parameters,
                "layers": layers,
                **(
                    _kinds(needed)
                    if needed and (needed.carrying or needed.attending < needed.layers)
                    else {}
                ),
                "heads": heads,
                "kv_heads": kv_heads,
                "width": width,
                "context": context,
                "vocabulary": vocabulary,
                "dtypes": facts.dtypes,
                **({"quantised": facts.quantised} if facts.quantised else {}),
                "bytes": facts.size,
                **({"left_out": left_out} if left_out else {}),
                **({"thinking": asdict(thinking)} if thinking else {}),
                "memory": memory,
                "licence": facts.licence,
                "source": facts.source,
                "path": str(facts.path),
            }
        )
        return
    several = "" if kv_heads == heads else f" (keys and values: {kv_heads})"
    if needed is None:
        memory_rows = [("runs", f"no: {reason}")]
    else:
        total = needed.weights + needed.cache + needed.state
        parts = f"{size(needed.weights)} of weights in {needed.dtype}"
        parts += f", {size(needed.cache)} of KV cache for {needed.context} tokens"
        if needed.state:
            parts += f" ({size(needed.each_token)} each), {size(needed.state)} of states"
        memory_rows = [("memory", f"{size(total)}: {parts}")]
        memory_rows.append(("to compute", f"{size(needed.scratch)} more"))
        changed = needed.dequantised
        if changed is not None:
            some = "all" if changed.matrices is None else f"{changed.matrices} matrices"
            cost = f"{size(changed.weights)} in place of {size(changed.stored)}"
            memory_rows.append(("dequantised", f"{some}: {cost}"))
        elif facts.quantised:
            memory_rows.append(("dequantised", "nothing: all runs as it is stored"))
        memory_rows += [
            ("left out", f"{each.what} ({each.tensors} tensors, {size(each.bytes)})")
            for each in needed.left_out
        ]
        if needed.available is not None:
            memory_rows.append(("free", f"{size(needed.available)} of main memory"))
    rows = [
        ("model", facts.name),
        ("family", _known(facts.family)),
        ("parameters", millions(parameters)),
        ("layers", _known(layers) + (_of_kinds(needed) if needed else "")),
        ("heads", _known(heads) + several),
        ("width", _known(width)),
        ("context", f"{_known(context)} tokens"),
        ("vocabulary", f"{_known(vocabulary)} tokens"),
        ("dtype", ", ".join(facts.dtypes)),
        *([("quantised", facts.quantised)] if facts.quantised else []),
        ("size", size(facts.size)),
        *([("thinking", thinking.in_words)] if thinking else []),
        *memory_rows,
        ("licence", _known(facts.licence)),
        ("source", facts.source),
        ("path", str(facts.path)),
    ]
    pairs(environment.stdout, rows)


def families(
    environment: Environment,
    output: Annotated[
        Output, but(quiet=None, json="Print a JSON object: families, and how rope may be scaled.")
    ],
) -> None:
    """List the families of models that run.

    In a pipe: name, largest difference, models, what runs them, what of their checkpoints is left
    out; tab-separated.

    A family is what a model's config.json calls model_type. The difference is the largest one
    between any logit of ours and of the library transformers, in float32, on small random models
    with the family's options on and off. kernels are those of a CPU, torch runs on a GPU, with
    adapters apart and where there are no kernels.

    All run in float32, bfloat16 and float16; rope may be scaled by linear, dynamic, llama3, yarn
    or longrope, of which dynamic and longrope look at the context in use (--ctx-size). What a
    model asks for and gptcli does not have is refused by name before any weights are read.
    """
    from gptcli.backends.local import families as known

    found = known.listing()
    if output.json:
        rows = [
            {
                "name": each.name,
                "supports": each.supports,
                "difference": each.difference,
                "runs": each.runs,
                "left_out": each.left_out,
            }
            for each in found
        ]
        environment.data().json({"families": rows, "rope_scalings": known.SCALINGS})
        return
    families_view.show(environment.stdout, found)


def _kinds(needed: Needs) -> dict[str, int]:
    return {"layers_with_attention": needed.attending, "layers_with_state": needed.carrying}


def _of_kinds(needed: Needs) -> str:
    """How many layers have attention, and what the others have, where not all have it."""
    left = needed.layers - needed.attending - needed.carrying
    parts = [f"{needed.attending} with attention", f"{needed.carrying} with a state in its place"]
    parts += [f"{left} with neither"] if left else []
    return f": {', '.join(parts)}" if needed.attending < needed.layers else ""


def _known(value: Any) -> str:
    return "unknown" if value is None else str(value)

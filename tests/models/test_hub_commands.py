"""The commands that ask the hub, from their arguments to what they print."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.helpers import run
from tests.cli.test_bad_input import assert_one_line
from tests.models.test_hub import Hub, hub  # noqa: F401 - a fixture
from tests.models.test_hub_gguf import REPO, files, gguf_bytes  # noqa: F401 - fixtures


def test_show_lists_what_there_is(hub: Hub, files) -> None:  # noqa: F811
    """A refusal where the hub could say what there is, or a model that is here not shown."""
    done = run("models", "show", REPO)
    assert done.code == 0 and done.err == f"gptcli: looking up {REPO} on the hub\n"
    rows = [line.split("\t") for line in done.text.splitlines()]
    assert [row[0] for row in rows[1:]] == [f"{REPO}:{n}" for n in ("Q4_K_M", "Q8_0", "BF16")]
    assert run("models", "pull", f"{REPO}:Q8_0").code == 0
    assert "family\tllama" in run("models", "show", f"{REPO}:Q8_0").text
    found = json.loads(run("models", "show", "--variants", "--json", f"{REPO}:Q8_0").text)
    assert [each["installed"] for each in found["variants"]] == [False, True, False]
    assert found["variants"][1]["bytes"] == len(files["some-Q8_0.gguf"])
    assert_one_line(run("models", "show", "--variants", "smollm2"), 2, "--variants")


def test_pull_tells_what_it_took(hub: Hub, files) -> None:  # noqa: F811
    """A choice without a word, or one that comes at every start."""
    done = run("models", "pull", REPO)
    assert done.code == 0 and f"hint: {REPO}: takes Q4_K_M of Q4_K_M (" in done.err
    assert "hint" not in run("models", "pull", REPO).err
    again = run("models", "pull", "--update", REPO)
    assert f"gptcli: {REPO} is as the hub has it, at commit 0123456\n" in again.err
    assert_one_line(run("models", "pull", "--update", "smollm2"), 2, "--update")
    listed = {line.split("\t")[0] for line in run("models", "list").text.splitlines()}
    assert f"{REPO}:Q4_K_M" in listed
    assert run("models", "rm", f"{REPO}:Q4_K_M").code == 0
    assert_one_line(run("models", "pull", "-q", f"{REPO}:Q3_K"), 3, "Q4_K_M, Q8_0, BF16")


def test_search(hub: Hub, files) -> None:  # noqa: F811
    """Words taken one by one, a limit that is not obeyed, or nothing said where nothing is."""
    hub.more[REPO] = {"gguf": {"architecture": "llama", "total": 5}, "downloads": 3}
    done = run("models", "search", "some", "GGUF")
    heads, row = (line.split("\t") for line in done.text.splitlines())
    assert done.code == 0 and hub.queries[0]["search"] == ["some GGUF"]
    assert row[0] == REPO and len(heads) == len(row) == 8
    (found,) = json.loads(run("models", "search", "some", "--json").text)
    assert found["name"] == REPO and found["default"] == "Q4_K_M"
    none = run("models", "search", "nobody")
    assert none.code == 0 and none.err.endswith("hint: nobody: the hub has none\n")
    assert run("models", "search", "org", "--limit", "1", "--json").err.endswith(
        "hint: org: none of the 10 first runs here\n"
    )
    assert_one_line(run("models", "search"), 2, "WORDS")
    assert_one_line(run("models", "search", "x", "--limit", "0"), 2, "--limit")


def test_list_of_all(own_home: Path, write_llama: Callable) -> None:
    """Another tool's models listed by names that --model does not take."""
    path = own_home / ".lmstudio" / "models" / "me" / "it" / "it-Q8_0.gguf"
    path.parent.mkdir(parents=True)
    write_llama(path)
    name = "lmstudio:me/it/it-Q8_0.gguf"
    assert name not in run("models", "list").text
    row = next(x for x in run("models", "list", "--all").text.splitlines() if x.startswith("lms"))
    assert row == f"{name}\t{path.stat().st_size}\tkept by LM Studio\t{path}\t\t"
    assert run("tokens", "-m", name, "hello").code == 0


@pytest.mark.parametrize("name", ["ollama:none", "lmstudio:../x", "llama.cpp:x.gguf", "org/x:a b"])
def test_bad_names(own_home: Path, name: str) -> None:
    """A name of another store that is a bug of ours, or a question to a network."""
    assert_one_line(run("tokens", "-m", name, "hello"), 3, name)

"""--json-schema, --json-object, --regex, --grammar, --one-of, and `ask`, on tiny models."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from tests.cli.helpers import run
from tests.cli.test_bad_input import assert_one_line

WARM = ("--temp", "1", "--min-p", "0", "--seed", "5")
SCHEMA = '{"type": "array", "items": {"enum": ["a", 1]}, "minItems": 2, "maxItems": 3}'
#: Each form by its flags, `{}` being a directory, and what its texts match.
FORMS = {
    "schema": (["--json-schema", SCHEMA], r'\[\s*("a"|1)\s*,.*\]'),
    "schema file": (["--json-schema", "{}/a.json"], r'\[\s*("a"|1)\s*,.*\]'),
    "regex": (["--regex", "[ab]{3}"], "[ab]{3}"),
    "gbnf": (["--grammar", "{}/a.gbnf"], "[xy]-z"),
    "lark": (["--grammar", "{}/a.lark"], "[xy]-z"),
    "one of": (["--one-of", "a b", "--one-of", "c"], "(a b|c)"),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("forms")
    (place / "a.json").write_text(SCHEMA)
    (place / "a.gbnf").write_text('root ::= [xy] "-" last\nlast ::= "z"\n')
    (place / "a.lark").write_text('start: /[xy]/ "-" "z"\n')
    return place


@pytest.mark.parametrize("form", FORMS)
def test_complete_and_chat_write_what_has_to_be(form, files, chat_model: Path):
    """Catches a flag that is read and not obeyed, in either command."""
    flags = [each.replace("{}/", f"{files}/") for each in FORMS[form][0]]
    for command, end in (("complete", ""), ("chat", "\n")):
        done = run(command, "-m", str(chat_model), *WARM, "-n", "200", *flags, "the cat")
        assert done.code == 0, done.err
        assert re.fullmatch(FORMS[form][1] + end, done.text, re.DOTALL), done.text


def test_a_text_that_is_not_whole_is_code_4(base_model: Path):
    """Catches half of a JSON text that a script takes for all of it."""
    flags = ("-m", str(base_model), *WARM, "-n", "2", "--json-schema", SCHEMA)
    done = run("complete", *flags, "the cat")
    assert done.code == 4 and done.err.count("\n") == 1
    assert "is missing at least" in done.err and "--repair" in done.err
    assert "sample 1" in done.err
    told = json.loads(run("complete", "--json", *flags, "the cat").text)
    assert told["constraint"]["unfinished"][0]["index"] == 0
    closed = run("complete", *flags, "--repair", "the cat")
    assert closed.code == 0
    assert len(json.loads(closed.text)) >= 2
    assert "which the model did not write" in closed.err
    short = ("few-shot", "--example", "a", "b", *flags, "c")
    assert run(*short).code == 4
    assert len(json.loads(run(*short, "--repair").text.replace("\\n", " "))) >= 2


def test_a_batch_tells_which_row_is_not_whole(base_model: Path, tmp_path: Path):
    """Catches a row that is cut off and passes, and a form of a row's own that is not taken."""
    rows = [
        {"prompt": "the cat", "one_of": ["a", "b"]},
        {"prompt": "the cat", "response_format": {"type": "json_object"}, "max_tokens": 1},
        {"prompt": "the cat"},
        {"prompt": "the cat", "regex": "("},
    ]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(each) + "\n" for each in rows))
    done = run("complete", "-m", str(base_model), *WARM, "--regex", "[cd]", "--batch", str(file))
    assert done.code == 4
    first, second, third, last = map(json.loads, done.text.splitlines())
    assert first["choices"][0]["text"] in ("a", "b")
    assert second["error"]["code"] == 4 and "is missing at least" in second["error"]["message"]
    assert third["choices"][0]["text"] in ("c", "d")
    # Its own fault, and nobody else's.
    assert "unclosed group" in last["error"]["message"]


def test_stats_tell_how_often_it_decided(base_model: Path):
    """Catches a share of all tokens' steps, and a line where there is no constraint."""
    done = run("complete", "-m", str(base_model), *WARM, "--stats", "--one-of", "a b", "the cat")
    decided, steps = map(
        int, re.search(r"constraint: decided (\d+) of (\d+) steps", done.err).groups()
    )
    assert 0 <= decided <= steps == 3
    assert "constraint" not in run("complete", "-m", str(base_model), "--stats", "-n", "1", "a").err


@pytest.mark.parametrize(
    ("flags", "code", "reason"),
    [
        (["--regex", "a", "--one-of", "b"], 2, "--one-of: cannot be combined with --regex"),
        (["--repair"], 2, "--repair: needs one of"),
        (["--one-of", ""], 2, "--one-of: must not be empty"),
        (["--one-of", "a", "--one-of", "a"], 2, "--one-of: has a text twice"),
        (["--regex", "("], 2, "--regex: cannot be followed: unclosed group"),
        (["--json-schema", "{"], 4, "--json-schema: is not valid JSON"),
        (["--json-schema", "no-such-file"], 4, "no-such-file"),
        (["--json-schema", '{"not": {}}'], 2, "--json-schema: cannot be followed"),
        (["--grammar", "no-such-file"], 4, "no-such-file"),
    ],
)
def test_what_cannot_be_is_one_line(base_model: Path, flags, code, reason):
    """Catches a traceback of the library's, and an error that names no flag."""
    done = run("complete", "-m", str(base_model), "-n", "2", *flags, "the cat")
    assert_one_line(done, code)
    assert reason in done.err


def test_without_the_library_the_extra_is_named(base_model: Path, monkeypatch):
    """Catches a traceback where the extra is not installed, and an import that all pay."""
    monkeypatch.setitem(sys.modules, "llguidance", None)
    flags = ("-m", str(base_model), "-n", "2", "the cat")
    assert run("complete", *flags).code == 0
    for argv in (("complete", "--json-object", *flags), ("ask", "--type", "int", *flags[:2], "a")):
        done = run(*argv)
        assert_one_line(done, 2)
        assert "gptcli[constraints]" in done.err


def test_top_k_shows_what_is_forbidden(base_model: Path):
    """Catches a stage without a column, and a share that is not told."""
    flags = ("-m", str(base_model), "--one-of", "the", "-k", "50", "the cat")
    told = json.loads(run("top-k", "--json", "--stages", *flags).text)
    assert told["stages"][1] == "constraint"
    assert 0 < told["forbidden"] <= 1
    heads, *rows = (line.split("\t") for line in run("top-k", "--stages", *flags).text.splitlines())
    assert "constraint" in heads
    assert {row[-1] for row in rows} >= {"constraint"}
    shown = run("top-k", "--stages", *flags, terminal=True).text
    assert "the constraint forbids" in shown


def test_ask_prints_the_value_alone(chat_model: Path, base_model: Path):
    """Catches words beside the value, a probability that is not its own, and exit codes."""
    for model in (chat_model, base_model):
        flags = ("ask", "-m", str(model), "--type")
        done = run(*flags, "choice:cat,dog", "the")
        assert done.text in ("cat\n", "dog\n") and not done.err
        value, chance = run(*flags, "choice:cat,dog", "--confidence", "the").text.split("\t")
        assert value == done.text.strip() and 0.5 <= float(chance) <= 1
        told = json.loads(run(*flags, "choice:cat,dog", "--json", "the").text)
        assert told["value"] == value
        assert told["probability"] == pytest.approx(float(chance), rel=1e-4)
        assert run(*flags, "bool", "the cat").text in ("true\n", "false\n")
        assert re.fullmatch(r"-?\d+\n", run(*flags, "int", "the cat").text)
        assert re.fullmatch(r"\d{4}-\d\d-\d\d\n", run(*flags, "date", "the cat").text)
        done = run(*flags, "choice:cat,dog", "--fail-below", "1", "the")
        assert done.code == 9 and not done.text
        assert "--fail-below 1" in done.err


def test_ask_in_a_batch_is_ask_alone(chat_model: Path, tmp_path: Path):
    """Catches a row with another's value, a system prompt that is lost, and work done twice."""
    flags = ("ask", "-m", str(chat_model), "--type", "choice:cat,dog")
    rows, out = tmp_path / "rows.jsonl", tmp_path / "out.jsonl"
    asked = [{"question": "the", "id": 1}, {"question": "a log", "system": "say cat"}, {"q": 1}]
    rows.write_text("".join(json.dumps(row) + "\n" for row in asked))
    done = run(*flags, "--batch", str(rows), "-o", str(out))
    assert done.code == 4 and "line 3" in done.err
    found = [json.loads(line) for line in out.read_text().splitlines()]
    alone = [
        run(*flags, "--json", "the"),
        run(*flags, "--json", "--system", "say cat", "a log"),
    ]
    for row, one in zip(found, alone, strict=False):
        told = json.loads(one.text)
        assert {name: row[name] for name in told} == told
    assert "error" in found[2]
    asked[2] = {"question": "a dog"}
    rows.write_text("".join(json.dumps(row) + "\n" for row in asked))
    again = run(*flags, "--batch", str(rows), "-o", str(out), "--resume")
    assert again.code == 0 and "2 were done before" in again.err
    lines = run(*flags, "--batch", "-", stdin=b"the\na log\n").text.splitlines()
    assert [json.loads(line)["question"] for line in lines] == ["the", "a log"]
    for other in (("--confidence",), ("--fail-below", "0.5"), ("a question",)):
        assert_one_line(run(*flags, "--batch", str(rows), *other), 2, "--batch")
    assert run(*flags, "-o", str(out), "the").out == b""
    assert out.read_text() == f"{found[0]['value']}\n"


def test_rows_of_few_shot_have_forms_of_their_own(base_model: Path, tmp_path: Path):
    """Catches a form that all rows share, and one that is taken for a column of the user's."""
    rows = tmp_path / "rows.jsonl"
    forms = [{"guided_choice": ["cat", "dog"]}, {"guided_regex": "[0-9]{3}"}, {}]
    rows.write_text("".join(json.dumps({"input": "a"} | form) + "\n" for form in forms))
    flags = ("few-shot", "-m", str(base_model), "--example", "b", "c", "--batch", str(rows))
    done = run(*flags, "-n", "9", "--seed", "1", "--one-of", "mat")
    assert done.code == 0, done.err
    texts = [json.loads(line)["answer"].strip() for line in done.text.splitlines()]
    assert texts[0] in ("cat", "dog") and re.fullmatch("[0-9]{3}", texts[1]) and texts[2] == "mat"
    labels = run(*flags[:-2], "--label", "b", "--label", "c", *flags[-2:])
    assert labels.code == 4 and "guided_choice" in labels.text


@pytest.mark.parametrize("kind", ["number", "choice:", "choice:a", "choice:a,", "choice:a,a"])
def test_types_that_are_none(base_model: Path, kind):
    """Catches a choice of one, and an empty one that every text begins with."""
    assert_one_line(run("ask", "-m", str(base_model), "--type", kind, "a"), 2)

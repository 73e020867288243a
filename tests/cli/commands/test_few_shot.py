"""`gptcli few-shot`, on a tiny model of random weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gptcli.cli.input.example_files import read_preset
from gptcli.few_shot.presets import preset_names
from gptcli.text.example_template import ExampleTemplate
from tests.backends.test_few_shot import directory  # noqa: F401 - a fixture
from tests.cli.helpers import run
from tests.cli.test_bad_input import assert_one_line

PAIRS = ("--example", "the cat", "sat", "--example", "the dog", "on the log")


@pytest.fixture
def ask(directory: Path):  # noqa: F811
    """`few-shot` on the tiny model."""
    return lambda *argv, **more: run("few-shot", "-m", str(directory), "-n", "6", *argv, **more)


def document(done) -> str:
    assert done.code == 0, done.err
    return done.text


def test_pairs_of_the_command_line(ask):
    """Catches texts that are lost or read as flags: dashes, equals signs, words after `--`."""
    found = document(ask("--show-prompt", "--example", "--stop", "-n", "--example=a=b", "c", "q"))
    assert found == "Input: --stop\nOutput: -n\n\nInput: a=b\nOutput: c\n\nInput: q\nOutput:"
    assert document(ask("--show-prompt", *PAIRS, "--", "--example")).endswith(
        "\nInput: --example\nOutput:"
    )
    for short in (("--example",), ("--example", "one"), ("q", "--example=one")):
        done = ask(*short)
        assert_one_line(done, 2, "--example: needs two texts, an input and its output")


CSV = 'text,kind,n\n"the, cat",sat,1\n"two\nlines",all,2\n'
FILES = {
    "e.csv": CSV,
    "e.tsv": 'text\tkind\nthe, cat\tsat\n"two\nlines"\tall\n',
    "e.jsonl": '{"text": "the, cat", "kind": "sat"}\n\n{"text": "two\\nlines", "kind": "all"}\n',
    "e.toml": 'examples = [{text = "the, cat", kind = "sat"}, {text = "two\\nlines", kind="all"}]',
    "BOM.CSV": "\ufeff" + CSV,
}


@pytest.mark.parametrize("name", FILES)
def test_files_of_examples(ask, tmp_path, name):
    """Catches a kind of file, a quoted cell or a BOM that is read in another way."""
    path = tmp_path / name
    path.write_text(FILES[name], encoding="utf-8")
    fields = ("--input-field", "text", "--output-field", "kind")
    found = document(ask("--examples", str(path), *fields, "--show-prompt", "q"))
    start = "Input: the, cat\nOutput: sat\n\nInput: two\nlines\nOutput: all\n\n"
    assert found == start + "Input: q\nOutput:"


def test_presets_files_and_pairs_add_up(ask, tmp_path):
    """Catches a source that replaces another, and a form that the flag does not outweigh."""
    path = tmp_path / "more.toml"
    path.write_text('template = "{input}={output}"\nexamples = [{input = "m", output = "n"}]')
    both = ("--preset", "pattern", "--examples", str(path), "--example", "o", "p")
    found = document(ask(*both, "--show-prompt", "q"))
    assert found.endswith("\none, two, three=four\nm=n\no=p\nq=")
    found = document(ask(*both, "--template", r"<{input}>\n{output}", "--show-prompt", "q"))
    assert found.endswith("\n<m>\nn\n<o>\np\n<q>\n")
    template = tmp_path / "form.txt"
    template.write_text("? {input}\n! {output}\n")
    flags = ("--template", str(template), "--separator", r"\t", "--instruction", "Do.")
    found = document(ask(*PAIRS, *flags, "--show-prompt", "q"))
    assert found == "Do.\t? the cat\n! sat\t? the dog\n! on the log\t? q\n!"


@pytest.mark.parametrize("name", preset_names())
def test_presets_are_whole(name):
    """Catches a preset that is no examples, or whose labels are not its outputs."""
    found = read_preset(name)
    assert len(found.examples) >= 6
    ExampleTemplate(found.template or "", found.separator or "")
    if found.labels:
        assert set(found.labels) == {each.output for each in found.examples}
    assert len({each.input for each in found.examples}) == len(found.examples)


def test_one_answer_is_exact_and_many_are_a_line_each(ask):
    """Catches an answer of two lines that shifts the answers after it."""
    pairs = ("--example", "a", "one\ntwo", "--example", "b", "three\nfour")
    single = ask(*pairs, "the cat")
    many = ask(*pairs, stdin=b"the cat\nthe dog\r\n")
    assert single.code == many.code == 0
    assert many.text.count("\n") == 2
    assert many.text.splitlines()[0] == single.text.removesuffix("\n").replace("\n", "\\n")
    found = [
        json.loads(line)
        for line in ask(*pairs, "--json", stdin=b"the cat\nthe dog").text.splitlines()
    ]
    assert [each["input"] for each in found] == ["the cat", "the dog"]
    assert found[0]["answer"] + "\n" == single.text
    assert (
        found[0]["usage"]["prompt_tokens_details"]["cached_tokens"]
        < found[0]["usage"]["prompt_tokens"]
    )
    assert found[0]["seed"] == found[1]["seed"]


@pytest.mark.parametrize(
    ("name", "content", "flags"),
    [
        ("q.jsonl", '{"input": "the mat"}\n{"input": "a", "x": 1}\n', ()),
        ("q.csv", "input\nthe mat\na\n", ()),
        ("q.txt", "the mat\na\n", ()),
        ("q.data", "id\tinput\n1\tthe mat\n2\ta\n", ("--queries-format", "tsv")),
    ],
)
def test_files_of_queries(ask, tmp_path, name, content, flags):
    """Catches a kind that is not told by the name, and the flag that should outweigh it."""
    path = tmp_path / name
    path.write_text(content)
    done = ask(*PAIRS, "--json", "--queries", str(path), *flags)
    assert [json.loads(line)["input"] for line in done.text.splitlines()] == ["the mat", "a"]
    piped = ask(
        *PAIRS,
        "--json",
        *(flags or ("--queries-format", path.suffix[1:].replace("txt", "lines"))),
        stdin=content.encode(),
    )
    assert [json.loads(line)["input"] for line in piped.text.splitlines()] == ["the mat", "a"]


def test_one_query_of_many_lines(ask, tmp_path):
    """Catches a file that is one query and is read as a query a line."""
    path = tmp_path / "q.txt"
    path.write_text("two\nlines\n")
    shown = ("--show-prompt", *PAIRS)
    for done in (
        ask(*shown, "-f", str(path)),
        ask(*shown, "-", stdin=b"two\nlines\n"),
        ask(*shown, "-p", "two\nlines"),
        ask(*shown, "two\nlines", "--no-stdin", stdin=b"not read"),
        ask(*shown, "lines", stdin=b"two\n"),
    ):
        assert document(done).endswith("\n\nInput: two\nlines\nOutput:")


def test_labels(ask):
    """Catches labels of the examples that are not used, and shares that are no shares."""
    for flags in (("--label", "sat", "--label", "on the log"), ("--classify",)):
        found = json.loads(ask(*PAIRS, *flags, "--json", "the mat").text)
        assert [each["label"] for each in found["labels"]] == ["sat", "on the log"]
        assert sum(each["probability"] for each in found["labels"]) == pytest.approx(1)
        assert found["answer"] in ("sat", "on the log")
        assert found["finish_reason"] == "label"
    calibrated = json.loads(ask(*PAIRS, "--classify", "--calibrate", "--json", "the mat").text)
    assert sum(each["calibrated"] for each in calibrated["labels"]) == pytest.approx(1)


def test_answers_are_the_most_probable_unless_asked_otherwise(ask):
    """Catches a temperature of 0.8 where an answer is asked for, and a flag that is not heard."""
    plain = {ask(*PAIRS, "--seed", str(seed), "the mat").text for seed in range(4)}
    bold = {ask(*PAIRS, "--temp", "5", "--seed", str(seed), "the mat").text for seed in range(4)}
    assert len(plain) == 1 and len(bold) > 1


def test_rows_before_a_bad_one_stay_answered(ask):
    """Catches answers that are lost with an error after them."""
    done = ask(
        *PAIRS, "--queries-format", "jsonl", stdin=b'{"input": "a"}\n{"input": "the"}\n{"x"\n'
    )
    assert done.code == 4
    assert done.text.count("\n") == 2
    assert done.err.startswith("gptcli: error: stdin: line 3: is not JSON")
    done = ask(*PAIRS, stdin=b"a\n" + b"sat " * 900 + b"\nthe\n")
    assert (done.code, done.text.count("\n")) == (5, 1)
    assert "stdin: line 2: with its 2 examples has" in done.err


BAD = [
    ((), 2, "--example: there are no examples (--shots 0 does without)"),
    (("--preset", "nothing"), 2, "--preset: there is no 'nothing', but pattern,"),
    ((*PAIRS, "--template", "{input"), 2, "--template: has a '{' at character 1"),
    ((*PAIRS, "--template", "no-such-file"), 2, "--template: 'no-such-file' is no file"),
    ((*PAIRS, "--label", "a"), 2, "--label: at least two labels are needed"),
    ((*PAIRS, "--label", "a", "--label", "a"), 2, "--label: 'a' is given twice"),
    ((*PAIRS, "--label", "a", "--label", " "), 2, "--label: must not be empty"),
    ((*PAIRS, "--label", "a", "--classify"), 2, "--classify: takes its labels from"),
    (("--shots", "0", "--classify"), 2, "--classify: needs examples"),
    ((*PAIRS, "--calibrate"), 2, "--calibrate: needs labels"),
    ((*PAIRS, "--order", "best"), 2, "--order: must be one of given, random, similar"),
    ((*PAIRS, "--as-chat", "--separator", "x"), 2, "--separator: cannot be combined"),
    ((*PAIRS, "--match", "loose"), 2, "--match: needs --evaluate FILE"),
    ((*PAIRS, "--leave-one-out"), 2, "--leave-one-out: needs --evaluate FILE"),
    ((*PAIRS, "--queries", "x", "--evaluate", "y"), 2, "QUERY: one of QUERY, --queries and"),
    ((*PAIRS, "--queries-format", "jsonl"), 2, "--queries-format: needs --queries or a pipe"),
    ((*PAIRS, "--input-field", "output"), 2, "--output-field: 'output' is the column of inputs"),
    ((*PAIRS, "--label", "a", "--label", " a"), 2, "'a' is given twice"),
    (("--examples", "missing.csv"), 4, "missing.csv: No such file"),
    (("--examples", "e.xlsx"), 2, "--examples: e.xlsx ends in none of"),
    ((*PAIRS, "--stop", ""), 2, "--stop: must not be empty"),
]


@pytest.mark.parametrize(("flags", "code", "text"), BAD, ids=[case[2][:40] for case in BAD])
def test_bad_flags(ask, flags, code, text):
    """Catches a traceback, a second line, or another exit code."""
    query = () if "--evaluate" in flags else ("q",)
    assert_one_line(ask(*flags, *query), code, text)


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("e.csv", b"", "e.csv: is empty"),
        ("e.csv", b"input,output\n", "e.csv: is empty"),
        ("e.csv", b"in,output\na,b\n", "e.csv: line 2: has no 'input', but 'in', 'output'"),
        ("e.csv", b"input,output\na\n", "e.csv: line 2: has 1 cells under 2 heads"),
        ("e.csv", b"input,input\na,b\n", "e.csv: line 1: has the column 'input' twice"),
        ("e.csv", b'input,output\n"a,b\n', "e.csv: line 2: unexpected end of data"),
        ("e.toml", b"template = 'x'", "e.toml: template: must have {input} once"),
        ("e.csv", b"input,output\nn\xe9,b\n", "e.csv: line 2: is not UTF-8 at byte 2"),
        ("e.csv", "input,output\na,b\n".encode("utf-16"), "e.csv: line 1: is not UTF-8 at byte 1"),
        ("e.jsonl", b"\n\n", "e.jsonl: is empty"),
        ("e.jsonl", b"[1]\n", "e.jsonl: line 1: is not a JSON object"),
        ("e.jsonl", b'{"input": ["a"], "output": "b"}', "e.jsonl: line 1: 'input' is not a text"),
        ("e.jsonl", b'{"input": "\\ud800", "output": "b"}', "half of a surrogate pair"),
        ("e.toml", b"examples = 1", "e.toml: 'examples' must be a list"),
        ("e.toml", b"examples = [1]", "e.toml: example 1: is no table"),
        (
            "e.toml",
            b"examples = [{input = 'a'}]",
            "e.toml: example 1: has no 'output', but 'input'",
        ),
        ("e.toml", b"exmaples = []", "e.toml: 'exmaples' is no part of it"),
        ("e.toml", b"x = [", "e.toml: is not TOML"),
    ],
)
def test_bad_files_of_examples(ask, tmp_path, name, content, text):
    """Catches a file that is half read, and an error that does not name its line."""
    path = tmp_path / name
    path.write_bytes(content)
    assert_one_line(ask("--examples", str(path), "q"), 4, text)


def test_a_json_file_is_not_read_a_line_each(ask):
    """Catches the lines of one JSON value that are answered as queries."""
    done = ask(*PAIRS, "--queries", "q.json")
    assert_one_line(done, 2, "--queries: q.json may be one JSON value", "--queries-format jsonl")


def test_no_tokens(ask):
    """Catches -n 0 that means no limit."""
    assert ask(*PAIRS, "-n", "0", "the mat").text == "\n"


def test_empty_queries(ask):
    """Catches an empty input that is answered."""
    assert_one_line(ask(*PAIRS, stdin=b""), 4, "stdin: is empty")
    assert_one_line(ask(*PAIRS, ""), 4, "query: is empty")
    assert_one_line(ask(*PAIRS, stdin=None), 2, "query: is missing")
    done = ask(*PAIRS, "--queries-format", "jsonl", stdin=b'{"input": " "}')
    assert_one_line(done, 4, "stdin: line 1: 'input' is empty")


def test_stats(ask):
    """Catches figures on stdout, and a sharing that is not told."""
    done = ask(*PAIRS, "--stats", "--seed", "3", stdin=b"a\nthe\nmat\n")
    assert done.text.count("\n") == 3
    assert "queries: 3 in" in done.err and "shared and computed once" in done.err
    assert "seed 3" in done.err

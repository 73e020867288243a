"""`gptcli few-shot --evaluate`, on a tiny model of random weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gptcli.evaluation.few_shot import plan
from gptcli.types.few_shot import Example, FewShotRequest
from tests.backends.test_few_shot import directory  # noqa: F401 - a fixture
from tests.cli.helpers import run
from tests.cli.test_bad_input import assert_one_line

PAIRS = ("--example", "the cat", "sat", "--example", "the dog", "log", "--example", "a mat", "sat")
ROWS = ["the mat,sat", "a log,log", "they sat,sat", "together,log", "the dog then,log"]


@pytest.fixture
def judge(directory: Path, tmp_path: Path):  # noqa: F811
    """`few-shot --evaluate` of some rows on the tiny model."""

    def call(*argv: str, rows: list[str] = ROWS, head: str = "input,output", **more):
        path = tmp_path / "rows.csv"
        path.write_text("\n".join([head, *rows]))
        flags = ("-n", "4", "-q", *PAIRS, "--evaluate", str(path))
        return run("few-shot", "-m", str(directory), *flags, *argv, **more)

    return call


def test_figures_are_those_of_the_answers(judge, directory, tmp_path):  # noqa: F811
    """Catches an answer that is held against another row, and figures of another run."""
    found = json.loads(judge("--classify", "--json").text)
    queries = "\n".join(row.split(",")[0] for row in ROWS)
    done = run("few-shot", "-m", str(directory), *PAIRS, "--classify", stdin=queries.encode())
    answers = done.text.splitlines()
    due = [row.split(",")[1] for row in ROWS]
    assert [each["answer"] for each in found["results"]] == answers
    assert [each["expected"] for each in found["results"]] == due
    right = sum(a == b for a, b in zip(answers, due, strict=True))
    assert (found["correct"], found["count"]) == (right, 5)
    assert found["accuracy"] == right / 5
    assert [each["name"] for each in found["classes"]] == ["sat", "log"]
    assert sum(map(sum, found["confusion"])) == 5
    assert found["usage"]["queries"] == 5
    assert found["log_loss"] > 0


def test_free_answers_are_matched(judge):
    """Catches a match that is always exact, and shares where there are none."""
    free = json.loads(judge("--json").text)
    answers = [each["answer"] for each in free["results"]]
    rows = [f'the mat,"{answers[0]}."', *ROWS[1:]]
    exact = json.loads(judge("--json", rows=rows).text)
    loose = json.loads(judge("--json", "--match", "loose", rows=rows).text)
    assert loose["correct"] == exact["correct"] + 1
    assert loose["results"][0]["correct"] and not exact["results"][0]["correct"]
    assert free["log_loss"] is None and free["calibration_error"] is None


def test_orders_and_leave_one_out(judge):
    """Catches runs that are all the same, or counted twice."""
    flags = ("--classify", "--json", "--orders", "4", "--leave-one-out", "--seed", "5")
    found = json.loads(judge(*flags).text)
    assert len(found["orders"]["accuracies"]) == 4
    assert found["orders"]["mean"] == pytest.approx(sum(found["orders"]["accuracies"]) / 4)
    left = found["leave_one_out"]
    assert [each["input"] for each in left] == ["the cat", "the dog", "a mat"]
    for each in left:
        assert each["added"] == pytest.approx(found["accuracy"] - each["accuracy"])
    assert len({each["added_log"] for each in left}) == 3
    assert found["usage"]["queries"] == 5 * (1 + 4 + 3)
    assert json.loads(judge(*flags).text)["results"] == found["results"]
    without = json.loads(judge("--classify", "--json").text)
    assert without["orders"] is None and without["leave_one_out"] is None


def test_leaving_out_is_the_run_without(judge, directory, tmp_path):  # noqa: F811
    """Catches the wrong example that is left out."""
    labels = ("--label", "sat", "--label", "log")
    found = json.loads(judge(*labels, "--json", "--leave-one-out").text)
    path = tmp_path / "rows.csv"
    flags = (*PAIRS[:3], *PAIRS[6:], *labels, "--json", "--evaluate", str(path))
    alone = json.loads(run("few-shot", "-m", str(directory), *flags).text)
    assert found["leave_one_out"][1]["accuracy"] == alone["accuracy"]
    added = alone["log_loss"] - found["log_loss"]
    assert found["leave_one_out"][1]["added_log"] == pytest.approx(added, abs=1e-5)


def test_plan_varies_the_same_examples():
    """Catches orders of other examples than those that are used."""
    examples = tuple(Example(str(n), "x") for n in range(9))
    found = plan(FewShotRequest(examples, shots=3), orders=5, leave_one_out=True)
    assert found.runs == 1 + 5 + 3
    for request in found.orders:
        assert set(request.examples) == set(examples[:3])
        assert (request.order, request.shots) == ("random", None)
    assert len({request.order_seed for request in found.orders}) == 5
    assert [each.input for each, _ in found.without] == ["0", "1", "2"]
    for each, request in found.without:
        assert set(request.examples) == set(examples[:3]) - {each}


def test_views(judge):
    """Catches a table that is missing, and one that a pipe cannot read."""
    piped = judge("--classify", "--leave-one-out", "--orders", "2").text
    tables = piped.strip().split("\n\n")
    assert len(tables) == 4
    assert tables[0].startswith("accuracy\t")
    assert [line.split("\t")[0] for line in tables[1].splitlines()] == ["class", "sat", "log"]
    assert all(line.count("\t") == 2 for line in tables[2].splitlines())
    shown = judge("--classify", terminal=True).text
    assert "95% interval" in shown and "due \\ answered" in shown and "\t" not in shown


@pytest.mark.parametrize(
    ("flags", "rows", "head", "code", "text"),
    [
        (("--classify",), ["a,b"], "input,output", 4, "line 2: 'b' is none of the labels"),
        ((), ["a"], "input", 4, "line 2: has no 'output', but 'input'"),
        ((), [], "input,output", 4, "rows.csv: is empty"),
        (("--orders", "1"), ROWS, "input,output", 2, "--orders: must be from 2 to 1000"),
        (("--orders", "2", "--order", "similar"), ROWS, "input,output", 2, "--orders: needs the"),
        (("--orders", "2", "--shots", "1"), ROWS, "input,output", 2, "at least two examples"),
        (("--show-prompt",), ROWS, "input,output", 2, "--show-prompt: shows the document of"),
        ((), [f"{'sat ' * 900},c"], "input,output", 5, "rows.csv: line 2: with its 3"),
        ((), ["a,b", " ,c"], "input,output", 4, "rows.csv: line 3: 'input' is empty"),
        (("--queries-format", "lines"), ROWS, "input,output", 2, "lines have no outputs"),
    ],
)
def test_bad_evaluations(judge, flags, rows, head, code, text):
    """Catches a row that cannot be judged and is."""
    assert_one_line(judge(*flags, rows=rows, head=head), code, text)


def test_rows_before_one_that_does_not_fit_are_judged(judge):
    """Catches an evaluation that is lost with its last row."""
    done = judge("--json", "--orders", "2", rows=[*ROWS, f"{'sat ' * 900},c"])
    assert done.code == 5
    assert "rows.csv: line 7: with its 3 examples" in done.err
    found = json.loads(done.text)
    assert (found["count"], found["orders"]) == (5, None)
    assert "line 7" in found["error"]


def test_rows_from_a_pipe(directory):  # noqa: F811
    """Catches a kind that cannot be told and is not asked for."""
    rows = b'{"input": "the mat", "output": "sat"}\n'
    flags = ("-m", str(directory), "-n", "4", "--json", *PAIRS, "--evaluate", "-")
    done = run("few-shot", *flags, "--queries-format", "jsonl", stdin=rows)
    assert json.loads(done.text)["count"] == 1
    assert run("few-shot", *flags, stdin=rows).code == 2

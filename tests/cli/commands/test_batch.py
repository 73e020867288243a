"""--batch: rows in, results out, for every command that has it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from gptcli import config
from tests.cli.helpers import Done, run
from tests.faults.processes import GPTCLI

ECHO = ("complete", "-m", "echo", "-n", "3", "--seed", "1")
ROWS = [
    {"id": "a", "prompt": "one two"},
    {"prompt": "three", "max_tokens": 1, "n": 2, "seed": 9, "x_comment": "left alone"},
    {"id": 7, "prompt": "four five six seven"},
]


def write(path: Path, rows: list[Any]) -> Path:
    """JSON lines; a text is a line as it is."""
    path.write_text("".join(f"{r if isinstance(r, str) else json.dumps(r)}\n" for r in rows))
    return path


def results(done: Done | Path) -> list[dict[str, Any]]:
    text = done.text if isinstance(done, Done) else done.read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]


def texts(found: list[dict[str, Any]]) -> list[list[str]]:
    return [[each["text"] for each in row["choices"]] for row in found]


def assert_one_line(done: Done, code: int, part: str) -> None:
    assert (done.code, done.err.count("\n")) == (code, 1), done.err
    assert done.err.startswith("gptcli: error: ")
    assert part in done.err


def test_a_result_for_each_row(tmp_path):
    """Catches a row that is lost, answered with another's settings, or told out of order."""
    rows = write(tmp_path / "r.jsonl", ROWS)
    done = run(*ECHO, "--batch", str(rows))
    assert (done.code, done.err) == (0, "")
    found = results(done)
    assert texts(found) == [[" one two one"], [" three", " three"], [" four five six"]]
    assert [row.get("id") for row in found] == ["a", None, 7]
    assert [row["line"] for row in found] == [1, 2, 3]
    assert found[1]["seed"] == 9
    assert len({row["seed"] for row in found}) == 3
    out = tmp_path / "o.jsonl"
    kept = run(*ECHO, "--batch", str(rows), "-o", str(out))
    assert (kept.code, kept.out, kept.err) == (0, b"", f"gptcli: {out}: 3 rows\n")
    assert out.read_bytes() == done.out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["o.jsonl", "r.jsonl"]


@pytest.mark.parametrize(
    ("name", "written", "flags"),
    [
        ("r.csv", 'prompt,max_tokens\n"one two",2\nthree,\n', ()),
        ("r.tsv", "max_tokens\tprompt\n2\tone two\n\tthree\n", ()),
        ("r.txt", "one two\nthree\n", ()),
        ("r", '{"prompt": "one two"}\n\n{"prompt": "three"}\n', ("--batch-format", "jsonl")),
        ("-", "one two\nthree\n", ()),
    ],
)
def test_kinds_of_files(tmp_path, monkeypatch, name, written, flags):
    """Catches a kind of file that is read as another."""
    monkeypatch.chdir(tmp_path)
    if name != "-":
        (tmp_path / name).write_text(written)
    done = run(*ECHO, "--batch", name, *flags, stdin=written.encode() if name == "-" else b"")
    first = " one two" if "max_tokens" in written else " one two one"
    assert texts(results(done)) == [[first], [" three three three"]], done.err


def test_lines_of_openai_get_results_of_openai(tmp_path):
    """Catches an output that who reads OpenAI's cannot read."""
    body = {"model": "m", "prompt": "one two", "max_tokens": 2}
    line = {"custom_id": "c", "method": "POST", "url": "/v1/completions", "body": body}
    bad = line | {"custom_id": "d", "body": body | {"tools": ["x"]}}
    done = run(*ECHO, "--batch", str(write(tmp_path / "r.jsonl", [line, bad])))
    good, refused = results(done)
    assert done.code == 4
    assert good.keys() == refused.keys() == {"id", "custom_id", "response", "error"}
    assert (good["custom_id"], good["response"]["status_code"], good["error"]) == ("c", 200, None)
    answer = good["response"]["body"]
    assert (answer["object"], answer["choices"][0]["text"]) == ("text_completion", " one two")
    assert answer["usage"]["total_tokens"] == 4
    assert (refused["custom_id"], refused["response"]["status_code"]) == ("d", 400)
    assert refused["response"]["body"]["error"]["message"] == (
        '"tools": tools are not offered to the model'
    )
    chat = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 1}
    line |= {"url": "/v1/chat/completions", "body": chat}
    done = run("chat", "-m", "echo", "--batch", str(write(tmp_path / "c.jsonl", [line])))
    (found,) = results(done)
    choice = found["response"]["body"]["choices"][0]
    assert choice["message"] == {"role": "assistant", "content": " hello"}


BAD = [
    '{"prompt": "one", "id": 1}',
    "no JSON",
    '{"prompt": "two", "id": 1}',
    "[1]",
    '{"prompt": "three", "temperature": -1}',
    '{"prompt": "four", "prompt": "five"}',
    '{"prompt": "six"}',
]


def test_a_bad_row_is_an_error_row(tmp_path):
    """Catches a row that takes others with it, and errors that end with 0."""
    rows, out = write(tmp_path / "r.jsonl", BAD), tmp_path / "o.jsonl"
    done = run(*ECHO, "--batch", str(rows), "-o", str(out))
    assert done.code == 4
    told, error = done.err.splitlines()
    assert told == f"gptcli: {out}: 7 rows, 5 of them errors"
    assert error.startswith(f"gptcli: error: {rows}: line 2: is not JSON")
    assert error.endswith("(and 4 more of 7 rows are errors)")
    found = results(out)
    assert [row["line"] for row in found] == list(range(1, 8))
    reasons = [row["error"]["message"] if "error" in row else None for row in found]
    assert [reason is None for reason in reasons] == [True, *[False] * 5, True]
    assert reasons[2] == "has the id 1, as line 1 has"
    assert reasons[4] == '"temperature": must be 0 or more, not -1'
    assert found[4]["error"] | {"message": ""} == {"message": "", "type": "input_error", "code": 4}
    assert run(*ECHO, "--batch", str(rows)).out == out.read_bytes()
    # Bytes that are no text, and a line that is too short for its heads.
    table = tmp_path / "t.csv"
    table.write_bytes(b"prompt,id\none,1\n\xff,2\ntwo\nthree,3\n")
    found = results(run(*ECHO, "--batch", str(table)))
    assert ["error" in row for row in found] == [False, True, True, False]


def test_what_a_user_gets_wrong_first(tmp_path, monkeypatch):
    """Catches an array that is one prompt, a mistake that is told for each row, a slip that is
    passed over, and an empty line that is a row.
    """
    monkeypatch.chdir(tmp_path)
    Path("r.json").write_text('[{"prompt": "one"}]')
    done = run(*ECHO, "--batch", "r.json")
    assert_one_line(done, 2, "--batch: r.json may be one JSON value, not a row a line (jq -c")
    Path("r.csv").write_text("text,id\none,1\ntwo,2\n")
    done = run(*ECHO, "--batch", "r.csv", "-o", "o")
    assert_one_line(done, 4, "r.csv: line 1: has no column prompt, but text, id\n")
    assert not Path("o.journal").exists()
    write(Path("r.jsonl"), [{"prompt": "one", "temprature": 0}, {"prompt": "two"}])
    done = run(*ECHO, "--batch", "r.jsonl")
    assert_one_line(done, 4, 'line 1: "temprature": is not known here (did you mean temperature?)')
    bad, good = results(done)
    assert bad["error"]["message"] == '"temprature": is not known here (did you mean temperature?)'
    assert good["line"] == 2
    Path("r.csv").write_text("prompt,temprature,note,seed\none,0,mine,1\n")
    done = run(*ECHO, "--batch", "-", "--batch-format", "csv", stdin=Path("r.csv").read_bytes())
    told = "gptcli: hint: stdin: the column temprature is left alone; did you mean temperature?\n"
    assert (done.code, done.err) == (0, told)
    Path("r.txt").write_text("one\n\n\ntwo\n\n")
    done = run(*ECHO, "--batch", "r.txt")
    assert [row["line"] for row in results(done)] == [1, 4]
    assert (done.code, done.err) == (0, "gptcli: hint: r.txt: 2 empty lines passed over\n")


def test_choices_of_a_table(chat_model, tmp_path):
    """Catches choices that only JSON can say."""
    table = tmp_path / "r.csv"
    table.write_text('prompt,choices,mine\nthe cat, sat| ran,1\nthe dog,"["" a|b"", "" c""]",2\n')
    done = run("choose", "-m", str(chat_model), "--batch", str(table))
    assert done.code == 0, done.err
    found = [sorted(each["text"] for each in row["choices"]) for row in results(done)]
    assert found == [[" ran", " sat"], [" a|b", " c"]]


def test_fail_fast_stops_and_what_was_done_stays(tmp_path):
    """Catches a run that goes on, and one that takes its answers with it."""
    rows, out = write(tmp_path / "r.jsonl", BAD), tmp_path / "o.jsonl"
    done = run(*ECHO, "--batch", str(rows), "--fail-fast")
    assert_one_line(done, 4, "line 2: is not JSON")
    assert [row["line"] for row in results(done)] == [1]
    done = run(*ECHO, "--batch", str(rows), "--fail-fast", "-o", str(out))
    assert_one_line(done, 4, "--resume goes on)")
    assert not out.exists()
    write(rows, [row for row in BAD if "six" in row or "one" in row])
    assert run(*ECHO, "--batch", str(rows), "-o", str(out), "--resume").code == 0
    assert len(results(out)) == 2


def test_it_goes_on_where_it_was(tmp_path, monkeypatch):
    """Catches rows that are asked again, a seed that is another, and settings that changed."""
    rows, out = write(tmp_path / "r.jsonl", ROWS), tmp_path / "o.jsonl"
    flags = ("complete", "-m", "echo", "-n", "3", "--batch", str(rows), "-o", str(out))
    whole = run(*flags, "--resume")
    first = out.read_bytes()
    assert whole.code == 0
    # Whole already: nothing is asked, and the bytes stay, whatever the new run's seed would be.
    again = run(*flags, "--resume")
    assert again.err == f"gptcli: {out}: 0 rows; 3 were done before\n"
    assert out.read_bytes() == first
    assert_one_line(run(*flags), 2, f"{out}: is there already")
    done = run(*flags, "--resume", "--temp", "2")
    assert_one_line(done, 2, f"{out}: was made with --temperature unset, not 2.0 (another -o, or")
    done = run(*flags, "--resume", "--seed", "5")
    assert_one_line(done, 2, "was made with --seed unset, not 5 (")
    # Where they are not known any more it is refused none the less.
    shutil.rmtree(config.data_dir() / "batches")
    assert_one_line(run(*flags, "--resume", "--temp", "2"), 2, "was made with other settings (")
    assert out.read_bytes() == first
    # A row more at the end of the input is a row more of the output.
    write(rows, [*ROWS, {"prompt": "eight"}])
    assert run(*flags, "--resume").err == f"gptcli: {out}: 1 row; 3 were done before\n"
    assert out.read_bytes().startswith(first)
    assert texts(results(out))[3] == [" eight eight eight"]


def test_rows_that_changed_are_run_again(tmp_path):
    """Catches an output that is refused, or asked for as a whole, for a row that is another now."""
    rows, out = write(tmp_path / "r.jsonl", ROWS), tmp_path / "o.jsonl"
    flags = (*ECHO, "--batch", str(rows), "-o", str(out), "--resume")
    assert run(*flags).code == 0
    first = out.read_text().splitlines()
    write(rows, [ROWS[0], {"prompt": "changed"}, ROWS[2]])
    done = run(*flags)
    hint = f"{rows}: 1 of the rows that were done are others now, and were run again"
    assert done.code == 0
    assert done.err == f"gptcli: hint: {hint}\ngptcli: {out}: 1 row; 2 were done before\n"
    lines = out.read_text().splitlines()
    assert (lines[0], lines[2]) == (first[0], first[2])
    assert texts(results(out))[1] == [" changed changed changed"]
    # As a whole run over the same rows.
    assert run(*ECHO, "--batch", str(rows)).text.splitlines() == lines


@pytest.mark.parametrize(
    ("command", "more", "told"),
    [
        (("score",), ("--context", "a b"), '--context "", not "a b"'),
        (("top-k",), ("-k", "3"), "--rows 10, not 3"),
        (("choose", "--choice", "a"), ("--choice", "b"), '--choice ["a"], not ["a", "b"]'),
        (("chat",), ("-s", "be brief"), '--system [], not ["be brief"]'),
        (("few-shot", "--example", "a", "b"), ("--example", "c", "d"), "--example "),
    ],
)
def test_a_setting_that_changed_is_named(chat_model, tmp_path, command, more, told):
    """Catches a digest in the place of what was changed."""
    rows = write(tmp_path / "r.jsonl", ["bad"])
    flags = ("-m", str(chat_model), "--batch", str(rows), "-o", str(tmp_path / "o"), "--fail-fast")
    assert run(*command, *flags).code == 4
    done = run(*command, *more, *flags, "--resume")
    assert_one_line(done, 2, f"was begun with {told}")


def test_an_unfinished_run_notices_what_changed(tmp_path):
    """Catches an output of which half was asked for otherwise."""
    rows, out = write(tmp_path / "r.jsonl", [*ROWS, "bad"]), tmp_path / "o.jsonl"
    flags = ("complete", "-m", "echo", "-n", "3", "--batch", str(rows), "-o", str(out))
    assert run(*flags, "--fail-fast", "--parallel", "1").code == 4
    journal = tmp_path / "o.jsonl.journal"
    seed = json.loads(journal.read_text().splitlines()[0])["seed"]
    done = run(*flags)
    assert_one_line(done, 2, "was not finished, and has left o.jsonl.journal")
    done = run(*flags, "--resume", "-n", "4")
    assert_one_line(done, 2, "was begun with --max-new-tokens 3, not 4 (removing")
    changed = [{"id": "a", "prompt": "other"}, *ROWS[1:]]
    write(rows, changed)
    done = run(*flags, "--resume")
    assert done.code == 0, done.err
    plain = run("complete", "-m", "echo", "-n", "3", "--seed", str(seed), "--batch", str(rows))
    strip = [{k: v for k, v in row.items() if k != "key"} for row in results(plain)]
    assert [{k: v for k, v in row.items() if k != "key"} for row in results(out)] == strip


def test_a_model_that_was_changed_is_noticed(chat_model, tmp_path):
    """Catches an output of which half is another model's."""
    model, out = tmp_path / "m", tmp_path / "o"
    model.mkdir()
    for file in chat_model.iterdir():
        (model / file.name).write_bytes(file.read_bytes())
    rows = write(tmp_path / "r.jsonl", [{"prompt": "the cat"}, "bad"])
    flags = ("complete", "-m", str(model), "-n", "1", "--batch", str(rows), "-o", str(out))
    assert run(*flags, "--fail-fast").code == 4
    config = model / "config.json"
    config.write_text(config.read_text().replace("}", ', "rope_theta": 9999.0}'))
    assert_one_line(run(*flags, "--resume"), 2, "was begun with the model's files [")


def test_shards_are_the_lines_of_the_whole(tmp_path):
    """Catches a row that is in no share, or in two, or answered otherwise in one."""
    rows = write(tmp_path / "r.jsonl", [*ROWS, "bad", *ROWS[1:]])
    whole = run(*ECHO, "--batch", str(rows)).text.splitlines()
    for of in (1, 2, 3, 8):
        shares = [
            run(*ECHO, "--batch", str(rows), "--shard", f"{k}/{of}").text.splitlines()
            for k in range(1, of + 1)
        ]
        turns = (share[at] for at in range(len(whole)) for share in shares if at < len(share))
        assert list(turns) == whole


@pytest.mark.parametrize(
    ("flags", "code", "part"),
    [
        (("--resume",), 2, "--resume: needs --batch FILE"),
        (("--shard", "1/2"), 2, "--shard: needs --batch FILE"),
        (("--batch", "r", "--resume"), 2, "--resume: needs -o FILE"),
        (("--batch", "r", "a text"), 2, "the text: cannot be combined with --batch"),
        (("--batch", "r", "-p", "a"), 2, "--prompt: cannot be combined with --batch"),
        (("--batch", "r", "-0"), 2, "--null: cannot be combined with --batch"),
        (("--batch", "r", "--fail-below", "0.5"), 2, "--fail-below: cannot be combined"),
        (("--batch", "r", "--stream"), 2, "--stream: cannot be combined with --batch"),
        (("--batch", "r", "--shard", "0/2"), 2, "--shard: must be K/N"),
        (("--batch", "r", "--shard", "3/2"), 2, "--shard: must be K/N"),
        (("--batch", "r", "--workers", "2"), 2, "--workers: needs --ray"),
        (("--batch", "r", "-o", "o.csv"), 2, "results are JSON lines"),
        (("--batch", "r", "-o", "r"), 2, "r is the file of rows"),
        (("--batch", "r", "-o", "no/o"), 6, "no/o: No such file or directory"),
        (("--batch", "none"), 4, "none: No such file"),
        (("--batch", "."), 4, ".: is not a file"),
        (("--batch", "empty"), 4, "empty: is empty"),
        (("--batch", "twice.csv"), 4, "has the column 'a' twice"),
        (("--batch", "r", "--ray", "127.0.0.1:9"), 7, "--ray 127.0.0.1:9: nobody answers"),
    ],
    ids=str,
)
def test_what_cannot_be(tmp_path, monkeypatch, flags, code, part):
    """Catches a flag without effect, and a mistake that is found after a model is opened."""
    monkeypatch.chdir(tmp_path)
    for name, text in (("r", "a\n"), ("empty", ""), ("twice.csv", "a,a\n1,2\n")):
        (tmp_path / name).write_text(text)
    if "--ray" in flags:
        pytest.importorskip("ray")
    assert_one_line(run("complete", "-m", "echo", *flags), code, part)
    assert {path.name for path in tmp_path.iterdir()} == {"r", "empty", "twice.csv"}


def test_a_cluster_needs_its_library(tmp_path, monkeypatch):
    """Catches a traceback where ray is not installed."""
    monkeypatch.setitem(sys.modules, "ray", None)
    rows = str(write(tmp_path / "r.jsonl", ROWS))
    done = run(*ECHO, "--batch", rows, "--ray", "auto")
    assert_one_line(done, 2, "--ray: needs pip install 'gptcli[ray]'")


def test_every_command_asks_as_it_does_alone(chat_model, tmp_path):
    """Catches a command whose rows are asked otherwise than its one text."""
    model = ("-m", str(chat_model), "--seed", "4")
    looks = ("-m", str(chat_model))
    pair = ("--example", "the cat", "sat")
    cases = [
        (("complete", *model, "-n", "5"), {"prompt": "the cat", "seed": 4}, ("the cat", "--json")),
        (("chat", *model, "-n", "5"), {"message": "the cat", "seed": 4}, ("the cat", "--json")),
        (("score", *looks), {"text": "the cat sat"}, ("the cat sat", "--json")),
        (("top-k", *looks, "-k", "2"), {"prompt": "the cat"}, ("the cat", "--json")),
        (
            ("choose", *looks, "--choice", " sat", "--choice", " ran"),
            {"prompt": "the cat"},
            ("the cat", "--json"),
        ),
        (
            ("few-shot", *model, *pair, "-n", "5"),
            {"input": "the dog", "seed": 4},
            ("the dog", "--json"),
        ),
    ]
    for command, row, alone in cases:
        rows = write(tmp_path / "r.jsonl", [row | {"id": "x"}])
        done = run(*command, "--batch", str(rows))
        assert done.code == 0, done.err
        (found,) = results(done)
        (expected,) = results(run(*command, *alone))
        expected.pop("index", None)
        expected.get("usage", {}).pop("prompt_tokens_details", None)
        found.get("usage", {}).pop("prompt_tokens_details", None)
        assert (found.pop("id"), found.pop("line"), len(found.pop("key"))) == ("x", 1, 24)
        assert found == expected, command


def test_an_answer_depends_on_its_row_alone(chat_model, tmp_path):
    """Catches a draw that hangs on the rows before it, or on how many are answered at once."""
    words = ["the", "cat", "sat", "on", "the", "mat", "and", "the", "dog", "ran", "away"]
    prompts = [{"prompt": " ".join(words[: 1 + n % 9])} for n in range(12)]
    rows, flags = write(tmp_path / "r.jsonl", prompts), ("-n", "6", "--seed", "3", "--temp", "1.5")
    command = ("complete", "-m", str(chat_model), *flags, "--batch", str(rows))
    whole = run(*command).text.splitlines()
    assert run(*command, "--parallel", "1").text.splitlines() == whole
    write(rows, [*["bad"] * 4, *prompts[4:]])
    assert run(*command).text.splitlines()[4:] == whole[4:]
    texts = [row["choices"][0]["text"] for row in map(json.loads, whole)]
    assert len(set(texts)) == 9 and texts[:3] == texts[9:]
    write(rows, prompts[::-1])
    found = map(json.loads, run(*command).text.splitlines())
    assert [row["choices"][0]["text"] for row in found] == texts[::-1]


def test_what_no_row_can_help_ends_the_run(chat_model, tmp_path):
    """Catches a mistake of the command line that is told a million times, as that of rows."""
    rows = write(tmp_path / "r.jsonl", [{"prompt": "the cat"}] * 3)
    out = str(tmp_path / "o")
    done = run("score", "-m", "echo", "--batch", str(write(tmp_path / "t", [{"text": "a"}])))
    assert_one_line(done, 2, "echo: cannot score a text")
    done = run("top-k", "-m", str(chat_model), "-k", "9999", "--batch", str(rows), "-o", out)
    assert_one_line(done, 2, "--rows: must be at most")
    # But what a row says itself is its own fault, and so is its length.
    long = {"prompt": "the cat " * 300}
    own = {"prompt": "the cat", "logit_bias": {"999999": 1}}
    write(rows, [long, own, {"prompt": "the cat"}])
    done = run("complete", "-m", str(chat_model), "-n", "1", "--batch", str(rows))
    assert ["error" in row for row in results(done)] == [True, True, False]
    assert (results(done)[0]["error"]["code"], done.code) == (5, 5)


def test_a_pipe_is_answered_as_it_comes(tmp_path):
    """Catches an answer that waits for the next row, and an error that waits for an answer."""
    command = [sys.executable, "-m", "gptcli", *ECHO, "--batch", "-", "--batch-format", "jsonl"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as child:
        assert child.stdin is not None and child.stdout is not None
        for row, part in (('{"prompt": "a"}', '" a a a"'), ("bad", "error"), ("{}", "error")):
            child.stdin.write(f"{row}\n")
            child.stdin.flush()
            assert part in child.stdout.readline()
        child.stdin.close()
        assert child.wait(60) == 4


def test_outputs_that_are_no_files(tmp_path):
    """Catches a journal beside a device, and one that is renamed over a pipe."""
    rows = write(tmp_path / "r.jsonl", ROWS)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    read: list[bytes] = []
    thread = threading.Thread(target=lambda: read.append(fifo.read_bytes()))
    thread.start()
    done = run(*ECHO, "--batch", str(rows), "-o", str(fifo))
    thread.join(30)
    assert read == [run(*ECHO, "--batch", str(rows)).out]
    assert done.code == 0
    done = run(*ECHO, "--batch", str(rows), "-o", str(fifo), "--resume")
    assert_one_line(done, 2, "--resume")
    assert fifo.is_fifo()


@pytest.mark.slow
def test_a_second_run_on_one_output_is_refused(tmp_path):
    """Catches two runs that write the same file."""
    out = tmp_path / "o.jsonl"
    command = [*GPTCLI, *ECHO, "--batch", "-", "-o", str(out)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, text=True, stderr=subprocess.DEVNULL
    ) as child:
        assert child.stdin is not None
        child.stdin.write("one\n")
        child.stdin.flush()
        while not (tmp_path / "o.jsonl.journal").exists():
            assert child.poll() is None
        done = run(*ECHO, "--batch", "-", "-o", str(out), "--resume", stdin=b"one\n")
        assert_one_line(done, 6, f"{out}: is being written by another process")
        child.stdin.close()
        assert child.wait(60) == 0
    assert len(results(out)) == 1


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_told_to_stop_says_how_to_go_on(tmp_path, number):
    """Catches results that a signal takes away, and a person who does not know that they are."""
    out = tmp_path / "o.jsonl"
    command = [*GPTCLI, *ECHO, "--batch", "-", "-o", str(out), "--resume"]
    # What is in the journal, whoever put it there.
    for rows, kept in (("one\n", "1 row was"), ("one\ntwo\n", "2 rows were")):
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, text=True, stderr=subprocess.PIPE
        ) as child:
            assert child.stdin is not None and child.stderr is not None
            child.stdin.write(rows)
            child.stdin.flush()
            journal = tmp_path / "o.jsonl.journal"
            while not (journal.exists() and journal.read_bytes().count(b"\n") > rows.count("\n")):
                assert child.poll() is None
            child.send_signal(number)
            are = "is" if kept.endswith("was") else "are"
            said = f"{kept} done, and {are} in o.jsonl.journal, --resume goes on"
            assert child.stderr.read() == f"gptcli: {out}: {said}\n"
            assert child.wait(60) == -number
    done = run(*ECHO, "--batch", "-", "-o", str(out), "--resume", stdin=b"one\ntwo\nthree\n")
    assert done.err == f"gptcli: {out}: 1 row; 2 were done before\n"
    assert texts(results(out))[:2] == [[" one one one"], [" two two two"]]


@pytest.mark.parametrize(
    ("command", "row", "tokens"),
    [
        (("score", "--totals"), "the cat sat", 3),
        (("top-k",), "the cat", 2),
        (("choose", "--choice", " sat", "--choice", " sat on"), "the cat", 2 + 1 + 2),
    ],
)
def test_stats_of_what_is_only_read(chat_model, tmp_path, command, row, tokens):
    """Catches tokens that are counted otherwise alone than in a batch, and a seed of nothing."""
    flags = ("-m", str(chat_model), "--stats", "-q")
    rows = write(tmp_path / "r", [row, row])
    lines = run(*command, *flags, "--batch", str(rows)).err.splitlines()
    assert lines[1].startswith("gptcli: rows: 2 in ") and lines[1].endswith("), 0 errors")
    assert lines[2].startswith(f"gptcli: prompts: {2 * tokens} tokens (") and len(lines) == 3
    model, prompt = run(*command, *flags, row).err.splitlines()[-2:]
    assert model.startswith("gptcli: model: ") and "), ready in " in model
    assert prompt.startswith(f"gptcli: prompt: {tokens} tokens in ")
    assert prompt.endswith(" tokens/s)")


@pytest.mark.parametrize(
    "flags", [("score", "--jsonl"), ("score", "--diff", "a", "b"), ("top-k", "--steps", "2", "a")]
)
def test_stats_are_of_one_answer(flags):
    """Catches a flag that is taken and not obeyed."""
    assert_one_line(run(*flags, "--stats"), 2, "cannot be combined with --stats")


def test_stats(tmp_path):
    """Catches tokens that are counted twice, or not at all."""
    rows = write(tmp_path / "r.jsonl", [*ROWS, "bad"])
    done = run(*ECHO, "--batch", str(rows), "--stats", "-q")
    lines = done.err.splitlines()
    assert lines[0] == "gptcli: model: echo"
    assert lines[1].startswith("gptcli: rows: 4 in ") and lines[1].endswith("), 1 errors")
    assert lines[2] == "gptcli: prompts: 7 tokens"
    assert lines[3].startswith("gptcli: generated: 8 tokens (")

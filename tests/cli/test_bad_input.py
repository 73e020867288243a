"""Every bad input: one line on stderr, the right exit code, nothing on stdout."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.cli.helpers import Done, run


def assert_one_line(done: Done, code: int, *parts: str) -> None:
    assert done.err.startswith("gptcli: error: ")
    assert done.err.count("\n") == 1, done.err
    assert "Traceback" not in done.err
    for part in parts:
        assert part in done.err
    assert done.code == code
    assert done.out == b""


ECHO = ("complete", "-m", "echo")


@pytest.mark.parametrize(
    ("argv", "code", "part"),
    [
        (("--nope",), 2, "--nope"),
        (("compleet",), 2, "Did you mean 'complete'"),
        ((*ECHO, "--temprature", "1", "a"), 2, "temprature (did you mean --temperature?; see"),
        ((*ECHO, "--chat-template", "x", "a"), 2, "no such option: --chat-template (see gptcli"),
        ((*ECHO, "--temperature", "-1", "a"), 2, "--temperature: must be 0 or more"),
        ((*ECHO, "--temperature", "nan", "a"), 2, "--temperature"),
        ((*ECHO, "--temperature", "hot", "a"), 2, "--temperature"),
        ((*ECHO, "--top-k", "-1", "a"), 2, "--top-k"),
        ((*ECHO, "--top-k", "1.5", "a"), 2, "--top-k"),
        ((*ECHO, "--top-p", "0", "a"), 2, "--top-p: must be above 0 and at most 1"),
        ((*ECHO, "--top-p", "1.1", "a"), 2, "--top-p"),
        ((*ECHO, "--min-p", "2", "a"), 2, "--min-p"),
        ((*ECHO, "--repeat-penalty", "0", "a"), 2, "--repeat-penalty: must be more than 0"),
        ((*ECHO, "--presence-penalty", "inf", "a"), 2, "--presence-penalty"),
        ((*ECHO, "--seed", "-1", "a"), 2, "--seed"),
        ((*ECHO, "--seed", "99999999999999999999", "a"), 2, "--seed"),
        ((*ECHO, "-n", "-2", "a"), 2, "--max-new-tokens"),
        ((*ECHO, "--samples", "0", "a"), 2, "--samples"),
        ((*ECHO, "--logprobs", "-1", "--json", "a"), 2, "--logprobs"),
        ((*ECHO, "--logprobs", "3", "a"), 2, "needs --json"),
        ((*ECHO, "-0", "--json", "a"), 2, "--null"),
        ((*ECHO, "--stop", "", "a"), 2, "--stop"),
        ((*ECHO, "--logit-bias", "x", "a"), 2, "--logit-bias"),
        ((*ECHO, "--logit-bias", "x=nan", "a"), 2, "--logit-bias"),
        ((*ECHO, "--dtype", "int9", "a"), 2, "--dtype"),
        ((*ECHO, "--device", "tpu", "a"), 2, "--device"),
        ((*ECHO, "--device", "cuda:x", "a"), 2, "--device"),
        ((*ECHO, "--threads", "0", "a"), 2, "--threads"),
        ((*ECHO, "--ctx-size", "0", "a"), 2, "--ctx-size"),
        ((*ECHO, "a", "b"), 2, "in quotes"),
        ((*ECHO, "a", "-p", "b"), 2, "--prompt"),
        ((*ECHO, ""), 4, "prompt: is empty"),
        ((*ECHO, "  "), 4, "prompt: is empty"),
        ((*ECHO, "-f", "/no/such/file"), 4, "/no/such/file: No such file"),
        ((*ECHO, "-f", "/"), 4, "Is a directory"),
        ((*ECHO, "\udcff"), 4, "not UTF-8"),
        (("complete", "-m", "nope", "a"), 3, "unknown model"),
        (("complete", "-m", "./nope", "a"), 3, "no such file or directory"),
        (("models", "show", "nope"), 3, "unknown model"),
        (("models", "show", "smollm2"), 3, "gptcli models pull smollm2"),
        (("models", "path", "gpt2"), 3, "not on this disk"),
        (("models", "rm", "smollm2"), 3, "not on this disk"),
        (("models", "show"), 2, "MODEL: is missing"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_bad_command_lines(argv, code, part):
    """Catches a traceback, a wrong code, or a bad value that is taken as if it were good."""
    assert_one_line(run(*argv), code, part)


def test_stdin_that_is_not_utf8():
    """Catches bytes that are replaced in silence."""
    assert_one_line(run(*ECHO, stdin=b"ok \xff"), 4, "0xff at offset 3")


ELSEWHERE = (*ECHO, "--base-url", "http://127.0.0.1:9/v1", "--api-key-file", "-")


@pytest.mark.parametrize(
    ("argv", "part"),
    [
        (
            (*ELSEWHERE, "--batch", "-"),
            "--batch: reads stdin, and so does --api-key-file",
        ),
        (
            (*ECHO, "--batch", "-", *ELSEWHERE[3:]),
            "--api-key-file: reads stdin, and so does --batch: only one",
        ),
        ((*ELSEWHERE, "-"), "and so does --api-key-file"),
        ((*ELSEWHERE, "-f", "-"), "--file: reads stdin, and so does --api-key-file"),
        ((*ECHO, "-f", "-", "-"), "PROMPT: reads stdin, and so does --file"),
        ((*ECHO, "-f", "-", "-f", "-"), "--file: - can be given once"),
        (("choose", "--choices-file", "-", "-"), "and so does --choices-file"),
        (("choose", "--choices-file", "-", "--batch", "-"), "and so does --choices-file"),
        (("chat", "--system-file", "-", "--transcript", "-", "a"), "and so does --system-file"),
        (("few-shot", "--queries", "-", "--evaluate", "-"), "and so does --queries"),
        (("tokens", "--decode", "-", "-f", "-"), "reads stdin, and so does --"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_stdin_is_read_by_one_flag(argv, part):
    """Catches a second reader that finds nothing, and is told that stdin is closed, or empty."""
    assert_one_line(run(*argv, stdin=b"a\nb\n"), 2, part)


def test_a_pipe_that_a_flag_reads_is_no_prompt_as_well():
    """Catches a pipe that is read for the prompt before the flag that names it comes to it."""
    done = run("chat", "-m", "echo", "-n", "1", "--system-file", "-", "hi", stdin=b"Be brief.")
    assert (done.code, done.out) == (0, b" hi\n")
    done = run("chat", "-m", "echo", "--system-file", "-", stdin=b"Be brief.")
    assert_one_line(done, 2, "message: is missing")


def test_no_prompt_at_all():
    """Catches waiting for ever on a terminal; an empty pipe is an empty prompt."""
    assert_one_line(run(*ECHO, stdin=None), 2, "prompt: is missing")
    assert_one_line(run(*ECHO, stdin=b""), 4, "prompt: is empty")


@pytest.fixture
def broken(tiny_model: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model, to be broken."""
    directory = tmp_path / "broken"
    shutil.copytree(tiny_model, directory)
    return directory


def edit_config(directory: Path, **fields: object) -> None:
    path = directory / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def assert_refused(directory: Path, code: int, *parts: str) -> None:
    before = sorted((p.name, p.stat().st_size) for p in directory.iterdir())
    assert_one_line(run("complete", "-m", str(directory), "the cat"), code, *parts)
    assert sorted((p.name, p.stat().st_size) for p in directory.iterdir()) == before


def test_directory_without_config(broken):
    """Catches a guess at what the directory might be."""
    (broken / "config.json").unlink()
    assert_refused(broken, 3, "config.json")


def test_unsupported_family_is_named_with_those_there_are(broken):
    """Catches "not supported" that leaves the user alone."""
    edit_config(broken, model_type="unheard")
    assert_refused(broken, 3, "'unheard'", "llama, llama4")


def test_wrong_shape(broken):
    """Catches weights cut or read past their end to fit."""
    edit_config(broken, intermediate_size=47)
    assert_refused(broken, 3, "mlp.", "has shape")


def test_missing_tensor(broken):
    """Catches a layer left with whatever was in memory."""
    edit_config(broken, num_hidden_layers=3)
    assert_refused(broken, 3, "model.layers.2.", "is missing")


def test_truncated_weights(broken):
    """Catches a half-downloaded file that is used as far as it goes."""
    path = broken / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    assert_refused(broken, 3, "model.safetensors")


def test_pickle_only(broken):
    """Catches loading a pickle, which can run code."""
    (broken / "model.safetensors").rename(broken / "pytorch_model.bin")
    assert_refused(broken, 3, "pickle", "can run code")


def test_missing_tokenizer(broken):
    """Catches a model without a tokenizer being loaded for nothing."""
    (broken / "tokenizer.json").unlink()
    assert_refused(broken, 3, "tokenizer")


def test_not_a_number_in_the_weights(broken):
    """Catches a token drawn from NaN."""
    from safetensors.torch import load_file, save_file

    tensors = load_file(broken / "model.safetensors")
    tensors["model.norm.weight"][3] = float("nan")
    save_file(tensors, broken / "model.safetensors")
    assert_refused(broken, 8, "NaN")


def test_prompt_longer_than_the_context(tiny_model):
    """Catches a prompt that is cut in silence; both counts are told."""
    done = run("complete", "-m", str(tiny_model), "1 " * 100)
    assert_one_line(done, 5, "more than the context of 64")
    small = run("complete", "-m", str(tiny_model), "--ctx-size", "2", "1 2 3")
    assert_one_line(small, 5, "more than the context of 2")


def test_context_beyond_the_models(tiny_model):
    """Catches positions that the model was never made for."""
    done = run("complete", "-m", str(tiny_model), "--ctx-size", "65", "a")
    assert_one_line(done, 2, "--ctx-size", "64")


def test_no_such_token(tiny_model):
    """Catches a bias on a token that is not there, or on a text of several tokens."""
    assert_one_line(
        run("complete", "-m", str(tiny_model), "--logit-bias", "9999=1", "a"), 4, "9999"
    )
    assert_one_line(
        run("complete", "-m", str(tiny_model), "--logit-bias", "xyz=1", "a"), 4, "tokens"
    )


def test_bad_settings(own_home, monkeypatch):
    """Catches settings that are ignored because they are wrong."""
    monkeypatch.setenv("GPTCLI_TOP_P", "7")
    assert_one_line(run(*ECHO, "a"), 2, "GPTCLI_TOP_P")
    monkeypatch.delenv("GPTCLI_TOP_P")
    file = own_home / "config" / "gptcli" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text("temprature = 1\n")
    assert_one_line(run(*ECHO, "a"), 2, "temprature", "temperature")
    file.write_text("= 1\n")
    assert_one_line(run(*ECHO, "a"), 4, "config.toml")


def test_a_bug_is_called_a_bug(monkeypatch):
    """Catches a traceback in a user's face, or a bug dressed as their mistake."""
    from gptcli.backends import echo

    monkeypatch.setattr(echo.EchoBackend, "answer", lambda *_: 1 / 0)
    assert_one_line(run(*ECHO, "a"), 1, "bug: ZeroDivisionError")


def test_a_file_name_cannot_drive_the_terminal():
    """Catches escape sequences of a hostile name in the error line."""
    done = run(*ECHO, "-f", "/no\x1b[31m\nsuch")
    assert_one_line(done, 4, "\\x1b[31m\\nsuch")


HUGE = "9" * 400


@pytest.mark.parametrize("flag", ["--seed", "-n", "--top-k", "--samples", "--threads"])
def test_numbers_too_large_for_a_float(flag):
    """Catches an OverflowError in the check of a limit."""
    done = run(*ECHO, flag, HUGE, "a")
    assert_one_line(done, 2)
    assert len(done.err) < 200


def test_settings_that_python_cannot_even_parse(own_home):
    """Catches exceptions of the TOML parser that are not its own."""
    file = own_home / "config" / "gptcli" / "config.toml"
    file.parent.mkdir(parents=True)
    for text in (f"seed = {'9' * 5000}", f"a = {'[' * 5000}", f"seed = {HUGE}"):
        file.write_text(text)
        assert run(*ECHO, "a").code in (2, 4)
        assert_one_line(run(*ECHO, "a"), run(*ECHO, "a").code)
    file.write_text("temperature = nan")
    assert_one_line(run(*ECHO, "a"), 2, "must be 0 or more, not nan")


@pytest.mark.parametrize(
    "name", ["tokenizer.json", "generation_config.json", "config.json", "model.safetensors"]
)
def test_a_pipe_in_place_of_a_file(broken, name):
    """Catches waiting for ever on a FIFO that nobody writes to."""
    (broken / name).unlink(missing_ok=True)
    os.mkfifo(broken / name)
    assert_refused(broken, 3)


@pytest.mark.parametrize("bias", ["5=1e39", "5=inf", "\udcff=1"])
def test_biases_that_cannot_be(bias):
    """Catches blaming the model for a number that the flag brought."""
    assert_one_line(run(*ECHO, "--logit-bias", bias, "a"), 2, "--logit-bias")


def test_bias_beyond_the_embedding(tiny_model):
    """Catches an index past the logits, and digits without end."""
    for name in ("300", "9" * 5000):
        done = run("complete", "-m", str(tiny_model), "--logit-bias", f"{name}=5", "a")
        assert_one_line(done, 4, "there is no token")


def test_a_begin_token_without_an_embedding(broken):
    """Catches a tokenizer whose prefix is of another model: torch would only see a bad index."""
    path = broken / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    tokenizer["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [
            {"SpecialToken": {"id": "<s>", "type_id": 0}},
            {"Sequence": {"id": "A", "type_id": 0}},
        ],
        "pair": [],
        "special_tokens": {"<s>": {"id": "<s>", "ids": [99999], "tokens": ["<s>"]}},
    }
    path.write_text(json.dumps(tokenizer))
    assert_refused(broken, 3, "no embedding")


def test_samples_that_cannot_fit(tiny_model, monkeypatch):
    """Catches filling the memory to find out that it is too small."""
    from gptcli.backends.local import memory

    monkeypatch.setattr(memory, "available_bytes", lambda _: 100_000)
    done = run("complete", "-m", str(tiny_model), "--samples", "500", "-n", "4", "a")
    assert_one_line(done, 6, "--samples", "are free")


def test_no_home_at_all(monkeypatch):
    """Catches a traceback for a ~user who is not there."""
    monkeypatch.setenv("GPTCLI_DATA_DIR", "~nosuchuser/x")
    assert_one_line(run("models", "list"), 2, "GPTCLI_DATA_DIR")


def test_a_full_context_without_a_limit_is_told(tiny_model):
    """Catches nothing at all being said where -n -1 finds no room."""
    done = run("complete", "-m", str(tiny_model), "-n", "-1", "--ctx-size", "1", "a")
    assert (done.code, done.out) == (0, b"")
    assert "context of 1 tokens is full; there is room for none" in done.err


@pytest.mark.parametrize("text", ["1_000", " 5", "5 ", "\uff15", "0x5", "", "٣"])
def test_numbers_are_what_people_write(text, monkeypatch):
    """Catches what Python takes for a number and nobody else does, wherever it is said."""
    assert int("1_000") == 1000 and int(" 5") == int("\uff15") == 5, "the fault itself"
    for flags, name in (
        (("-n", text), "--max-new-tokens: must be a whole number"),
        (("--temp", text), "--temperature: must be a number"),
        (("--logit-bias", f"1={text}"), "--logit-bias: must be TOKEN=NUMBER"),
    ):
        assert_one_line(run(*ECHO, *flags, "a"), 2, name)
    if text:
        monkeypatch.setenv("GPTCLI_TOP_K", text)
        assert_one_line(run(*ECHO, "a"), 2, "GPTCLI_TOP_K: must be a whole number")
        monkeypatch.delenv("GPTCLI_TOP_K")


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (("complete", "x", "-n"), "gptcli complete: option '-n' requires an argument"),
        (("models", "pull", "x", "--nope"), "gptcli models pull: no such option"),
        (("complete", "-n", "x", "a"), "--max-new-tokens: must be a whole number, not 'x'"),
    ],
)
def test_usage_errors_name_their_command(argv, told):
    """Catches a library's words, and a command that is not the one."""
    assert_one_line(run(*argv), 2, told)


def test_only_a_command_with_a_prompt_hints_at_quotes():
    """Catches a hint about a prompt that the command does not take."""
    assert "in quotes" not in run("bench", "x").err and "in quotes" in run("complete", "a", "b").err


def test_a_name_that_is_near_is_told_once():
    """Catches a name that is a short one and on the disk, and so hinted at twice."""
    assert run("complete", "-m", "smolm2", "a").err.count("smollm2 ") == 1

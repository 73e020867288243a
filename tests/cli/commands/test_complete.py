"""`gptcli complete`, on a tiny model of random weights and on the echo backend."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.cli.helpers import run

PROMPT = "the cat sat"


@pytest.fixture
def complete(tiny_model: Path):
    """`complete` on the tiny model."""
    return lambda *argv, **more: run("complete", "-m", str(tiny_model), *argv, **more)


def test_output_in_a_pipe_is_exactly_the_completion(complete):
    """Catches a newline, a heading or a notice that slips into stdout."""
    text = complete("--temp", "0", "-n", "8", PROMPT)
    found = json.loads(complete("--temp", "0", "-n", "8", "--json", PROMPT).text)
    assert text.code == 0
    assert text.text == found["choices"][0]["text"]
    assert text.err == ""


def test_same_seed_same_bytes(complete):
    """Catches randomness that does not come from the seed, in text and in JSON."""
    flags = ("--seed", "7", "-n", "12", "--samples", "3", PROMPT)
    assert complete(*flags).out == complete(*flags).out
    assert complete("--json", *flags).out == complete("--json", *flags).out
    assert complete(*flags).out != complete("--seed", "8", *flags[2:]).out


def test_without_a_seed_texts_differ_and_the_seed_is_told(complete):
    """Catches a fixed default seed, and one that is not recorded."""
    first = json.loads(complete("--json", "-n", "12", PROMPT).text)
    second = json.loads(complete("--json", "-n", "12", PROMPT).text)
    assert first["seed"] != second["seed"]
    again = json.loads(complete("--json", "-n", "12", "--seed", str(first["seed"]), PROMPT).text)
    assert again == first


def test_json_has_openais_shape(complete):
    """Catches a field that programs written for OpenAI's completions would miss."""
    done = complete("--json", "--logprobs", "3", "-n", "5", "--seed", "1", "--samples", "2", PROMPT)
    found = json.loads(done.text)
    assert done.text.count("\n") == 1
    assert [choice["index"] for choice in found["choices"]] == [0, 1]
    usage = found["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    for choice in found["choices"]:
        assert choice["finish_reason"] in ("stop", "length")
        content = choice["logprobs"]["content"]
        for token in content:
            assert set(token) == {"token", "id", "logprob", "bytes", "top_logprobs"}
            assert len(token["top_logprobs"]) == 3
            tops = [top["logprob"] for top in token["top_logprobs"]]
            assert tops == sorted(tops, reverse=True)
            assert token["logprob"] <= tops[0]
        raw = b"".join(bytes(token["bytes"]) for token in content)
        assert raw.decode(errors="replace") == choice["text"]
    assert found["sampling"]["temperature"] == 0.8


def test_json_lines_add_up_to_the_json_object(complete):
    """Catches a piece lost or doubled between the two forms."""
    flags = ("--json", "--logprobs", "0", "-n", "9", "--seed", "2", "--samples", "3", PROMPT)
    whole = json.loads(complete(*flags).text)
    lines = [json.loads(line) for line in complete("--stream", *flags).text.splitlines()]
    assert lines[-1]["usage"] == whole["usage"]
    assert all(line["seed"] == 2 for line in lines)
    for choice in whole["choices"]:
        pieces = [
            piece
            for line in lines
            for piece in line["choices"]
            if piece["index"] == choice["index"]
        ]
        assert "".join(piece["text"] for piece in pieces) == choice["text"]
        assert pieces[-1]["finish_reason"] == choice["finish_reason"]
        tokens = [token for piece in pieces for token in piece["logprobs"]["content"]]
        assert tokens == choice["logprobs"]["content"]


def test_no_stream_gives_the_same_text(complete):
    """Catches the two ways of printing drifting apart."""
    flags = ("--seed", "3", "-n", "20", "--samples", "2", "--echo", PROMPT)
    assert complete("--no-stream", *flags).out == complete(*flags).out


def test_samples_are_independent_of_their_number(complete):
    """Catches samples that share a generator: sample i is what seed + i draws alone."""
    three = complete("-0", "--seed", "5", "-n", "10", "--samples", "3", PROMPT)
    alone = [complete("-0", "--seed", str(5 + i), "-n", "10", PROMPT).out for i in range(3)]
    assert three.out == b"".join(alone)


def test_zero_tokens_and_echo(complete):
    """Catches -n 0 that generates, and an echo that changes the prompt."""
    assert complete("-n", "0", PROMPT).out == b""
    assert complete("-n", "0", "--echo", " a\tb ").out == b" a\tb "
    found = json.loads(complete("-n", "0", "--json", PROMPT).text)
    assert found["choices"][0] == {
        "text": "",
        "index": 0,
        "finish_reason": "length",
        "logprobs": None,
    }


def test_until_the_context_is_full(complete):
    """Catches -n -1 that stops at the default, and a run past the last position."""
    found = json.loads(complete("-n", "-1", "--json", "--logit-bias", "0=-inf", PROMPT).text)
    assert found["usage"]["total_tokens"] == 64
    assert found["choices"][0]["finish_reason"] == "length"
    small = complete("-n", "-1", "--ctx-size", "10", "--logit-bias", "0=-inf", "--json", PROMPT)
    assert json.loads(small.text)["usage"]["total_tokens"] == 10


def test_a_full_context_is_told(complete):
    """Catches text cut short in silence."""
    done = complete("-n", "100", "--logit-bias", "0=-inf", PROMPT)
    assert done.code == 0
    assert "context of 64 tokens is full" in done.err
    assert complete("-q", "-n", "100", "--logit-bias", "0=-inf", PROMPT).err == ""


def test_an_end_token_ends_and_is_not_shown(complete):
    """Catches an end token in the text, or one that is ignored."""
    found = json.loads(complete("--json", "--logit-bias", "<|end|>=1000", PROMPT).text)
    assert found["choices"][0]["text"] == ""
    assert found["choices"][0]["finish_reason"] == "stop"
    assert found["usage"]["completion_tokens"] == 0


def test_control_tokens_are_not_text(complete):
    """Catches `<|role|>` in the output, unless it was asked for."""
    flags = ("--logit-bias", "<|role|>=1000", "-n", "2", PROMPT)
    assert complete(*flags).out == b""
    assert complete("--special", *flags).out == b"<|role|><|role|>"


def test_a_prompt_never_gives_orders(complete):
    """Catches a control token's name in the prompt becoming that token."""
    count = lambda *argv: json.loads(complete("--json", "-n", "0", *argv).text)["usage"]  # noqa: E731
    plain, special = count("<|role|>"), count("--special", "<|role|>")
    assert special["prompt_tokens"] == 1
    assert plain["prompt_tokens"] > 1
    assert "<|role|> is read as plain text" in complete("-n", "0", "<|role|>").err


def test_stop_across_token_borders_is_held_back():
    """Catches a stop string that is shown in part, or matched within tokens only."""
    done = run("complete", "-m", "echo", "-n", "9", "--stop", "b cc", "a b cc d")
    assert done.text == " a "
    json_done = run("complete", "-m", "echo", "-n", "9", "--stop", "b cc", "--json", "a b cc d")
    assert json.loads(json_done.text)["choices"][0]["finish_reason"] == "stop"


def test_first_of_several_stops_wins(complete):
    """Catches stops tried in the order of the flags instead of the order of the text."""
    done = run("complete", "-m", "echo", "--stop", "d", "--stop", "c", "a b c d")
    assert done.text == " a b "


def test_a_stray_space_gets_a_hint_and_the_text_still_comes(complete):
    """Catches the most common reason of poor completions going unexplained."""
    done = complete("-n", "4", "--temp", "0", "the ")
    assert done.code == 0
    assert "hint: prompt: ends in a space" in done.err
    assert complete("-n", "4", "--temp", "0", "the").err == ""


def test_prompt_sources_are_joined_in_the_documented_order(tmp_path):
    """Catches another order than files, stdin, argument, or a lost part."""
    file = tmp_path / "f.txt"
    file.write_text("from file\n")
    done = run("complete", "-m", "echo", "-n", "0", "--echo", "-f", str(file), "arg", stdin=b"in\n")
    assert done.text == "from file\nin\narg"
    dash = run(
        "complete", "-m", "echo", "-n", "0", "--echo", "-f", "-", "-f", str(file), stdin=b"in"
    )
    assert dash.text == "in\nfrom file"
    assert run("complete", "-m", "echo", "-n", "0", "--echo", "-", stdin=b"in\n").text == "in"
    assert run("complete", "-m", "echo", "-n", "0", "--echo", "-p", "-x", stdin=None).text == "-x"


def test_exactly_one_newline_is_dropped(tmp_path):
    """Catches a strip that eats the blank line someone meant, and one that eats none."""
    echo = ("complete", "-m", "echo", "-n", "0", "--echo")
    assert run(*echo, stdin=b"a\n\n").text == "a\n"
    assert run(*echo, stdin=b"a\r\n").text == "a"
    assert run(*echo, "--verbatim", stdin=b"a\n").text == "a\n"
    assert run(*echo, "a\n").text == "a\n"


def test_empty_stdin_beside_an_argument_is_nothing():
    """Catches the newline that an empty stdin would put before a script's prompt."""
    assert run("complete", "-m", "echo", "-n", "0", "--echo", "a", stdin=b"").text == "a"


def test_terminal_shows_control_characters(complete):
    """Catches model text that drives the terminal; a pipe gets the exact bytes."""
    flags = ("complete", "-m", "echo", "-n", "1", "\x1b[31mred")
    assert run(*flags, terminal=True).text == " \\x1b[31mred\n"
    assert run(*flags).text == " \x1b[31mred"


def test_samples_have_headings_on_a_terminal_only():
    """Catches headings in a pipe, and samples that run into each other on a terminal."""
    flags = ("complete", "-m", "echo", "-n", "1", "--samples", "2", "a")
    shown = re.sub(r"\x1b\[[0-9;]*m", "", run(*flags, terminal=True).text)
    assert shown == "── 1 of 2 ──\n a\n── 2 of 2 ──\n a\n"
    assert run(*flags).text == " a\n a\n"
    assert run(*flags, "-0").out == b" a\0 a\0"


def test_stats_go_to_stderr_even_when_quiet(complete):
    """Catches --quiet eating what was asked for, and stats on stdout."""
    done = complete("-q", "--stats", "-n", "4", "--seed", "11", PROMPT)
    assert "tokens/s" in done.err
    assert "seed 11" in done.err
    assert "peak memory" in done.err
    assert "tokens/s" not in done.text


def test_settings_come_from_file_environment_and_flags(own_home, monkeypatch):
    """Catches another precedence than flag > environment > user file > default."""
    file = own_home / "config" / "gptcli" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text('model = "echo"\nmax-new-tokens = 3\n')
    assert run("complete", "a").text == " a a a"
    monkeypatch.setenv("GPTCLI_MAX_NEW_TOKENS", "2")
    assert run("complete", "a").text == " a a"
    assert run("complete", "-n", "1", "a").text == " a"


def test_the_models_own_settings_fill_the_gaps(tiny_model, tmp_path):
    """Catches generation_config.json being ignored, or beating a flag."""
    for file in tiny_model.iterdir():
        (tmp_path / file.name).symlink_to(file)
    (tmp_path / "generation_config.json").write_text(
        json.dumps(
            {"temperature": 0.3, "top_k": 7, "repetition_penalty": 1.2, "eos_token_id": [0, 5]}
        )
    )
    flags = ("complete", "-m", str(tmp_path), "--json", "-n", "1", PROMPT)
    found = json.loads(run(*flags).text)["sampling"]
    assert (found["temperature"], found["top_k"], found["repeat_penalty"]) == (0.3, 7, 1.2)
    assert found["min_p"] == 0
    found = json.loads(run(*flags, "--temp", "0.9").text)["sampling"]
    assert (found["temperature"], found["top_k"]) == (0.9, 7)


def test_utf8_is_never_split(complete):
    """Catches U+FFFD in the stream where a character is spread over several tokens."""
    done = complete("--stream", "--json", "-n", "30", "--seed", "4", "--temp", "3", "é")
    pieces = [c["text"] for line in done.text.splitlines() for c in json.loads(line)["choices"]]
    whole = json.loads(complete("--json", "-n", "30", "--seed", "4", "--temp", "3", "é").text)
    assert "".join(pieces) == whole["choices"][0]["text"]

"""Few-shot on the default model: batches answer as each whole prompt would, presets make sense."""

from __future__ import annotations

import json

import pytest

from gptcli.cli.input.example_files import read_preset
from gptcli.text.example_template import ExampleTemplate
from tests.cli.helpers import run

F32 = ("--dtype", "float32", "--device", "cpu")
QUERIES = ["Good evening.", "Where do you live?", "bread"]


def test_batches_answer_as_the_whole_prompt_would(with_default_model):
    """Catches what only a real vocabulary shows: a border within a token, a space that is lost."""
    preset = read_preset("translate")
    template = ExampleTemplate(preset.template, "\n\n")
    flags = ("--preset", "translate", "-n", "12")
    done = run("few-shot", *F32, *flags, stdin="\n".join(QUERIES).encode())
    assert done.code == 0, done.err
    for query, answer in zip(QUERIES, done.text.splitlines(), strict=True):
        prompt = template.document(preset.instruction, preset.examples, query)
        whole = run("complete", *F32, "--temp", "0", "-n", "12", "--stop", "\n", prompt)
        assert answer == whole.text.strip()


@pytest.mark.parametrize(
    ("preset", "query", "answer"),
    [
        ("translate", "Good night.", "Bonne nuit."),
        ("pattern", "5, 10, 15", "20"),
        ("question-answering", "What is the capital of France?", "Paris"),
        ("sentiment", "I lost my luggage.", "negative"),
    ],
)
def test_presets_make_sense(with_default_model, preset, query, answer):
    """Catches a preset whose form the model does not take up."""
    assert run("few-shot", *F32, "--preset", preset, query).text == f"{answer}\n"


def test_sentiment_is_right_about_clear_cases(with_default_model, tmp_path):
    """Catches labels that are compared at the wrong place: that would be right by chance alone."""
    path = tmp_path / "rows.jsonl"
    good = ["I loved it.", "Great value.", "The best meal of my life.", "Wonderful, thank you!"]
    bad = ["I hated it.", "A waste of money.", "The worst meal of my life.", "Broken on arrival."]
    rows = [{"input": text, "output": "positive"} for text in good]
    rows += [{"input": text, "output": "negative"} for text in bad]
    path.write_text("\n".join(map(json.dumps, rows)))
    done = run("few-shot", *F32, "--preset", "sentiment", "--evaluate", str(path), "--json")
    assert json.loads(done.text)["correct"] >= 7

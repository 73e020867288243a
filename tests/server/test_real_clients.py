"""Programs that speak OpenAI's language, each as its users run it, against a real server.

They live in an environment of their own: the one of `GPTCLI_TEST_CLIENTS`, a Python, else one that
is made from PyPI under `GPTCLI_TEST_CACHE`, once.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import filelock
import pytest

from gptcli.text.example_template import ExampleTemplate
from gptcli.types.few_shot import Example
from tests.cli.helpers import run
from tests.server.processes import Served, serving

pytestmark = pytest.mark.servers

#: Read before a test takes all variables of gptcli's away.
GIVEN = os.environ.get("GPTCLI_TEST_CLIENTS")
CACHE = Path(os.environ.get("GPTCLI_TEST_CACHE") or Path(tempfile.gettempdir()) / "gptcli-tests")
WANTED = ("llm==0.36", "lm_eval[api]==0.4.13", "openai==3.57.0", "transformers>=5,<6", "torch<2.14")
F32 = ("--dtype", "float32")
PROMPTS = [
    f"{begin} {what}" for begin in ("The", "A", "My", "No") for what in ("cat", "law", "sea")
]
TEMPLATE = "Review: {input}\nMood: {output}"
EXAMPLES = (
    Example("I loved every minute of it.", "positive"),
    Example("It broke after a day.", "negative"),
    Example("The staff were kind and quick.", "positive"),
    Example("Never again.", "negative"),
)
#: Some plain, some not: an accuracy between nothing and all.
ROWS = {
    "positive": [
        *(
            "Great value for the money.",
            "I would buy it again.",
            "Not bad at all.",
            "It just works.",
        ),
        *("My children ask for it every day.", "I did not expect to like it, but I do.", "Wow."),
        *("The best meal of my life.", "Better than the one before.", "You cannot go wrong here."),
        *("I have nothing to complain about.", "Worth the long wait.", "A small miracle.", "Fine."),
    ],
    "negative": [
        *(
            "A waste of money.",
            "I want my money back.",
            "Good in theory.",
            "Could have been better.",
        ),
        *(
            "It was fine until it caught fire.",
            "Nobody answered the phone.",
            "Oh, wonderful. Rain.",
        ),
        *(
            "The worst meal of my life.",
            "The box was nice, at least.",
            "I fell asleep.",
            "Overrated.",
        ),
        *(
            "It does not do what it says.",
            "My cat liked it more than I did.",
            "Too small, too late.",
        ),
    ],
}


@pytest.fixture(scope="session")
def python() -> str:
    """A Python that has the clients."""
    if GIVEN:
        return GIVEN
    home = CACHE / "servers" / "clients"
    found = home / "bin" / "python"
    home.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(f"{home}.lock"):
        if not (home / "made").exists():
            subprocess.run([sys.executable, "-m", "venv", home], check=True)
            subprocess.run([found, "-m", "pip", "install", "-q", *WANTED], check=True)
            (home / "made").touch()
    return str(found)


@pytest.fixture(scope="module")
def server(
    default_model: Path, shared_data_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """The default model in float32."""
    log = tmp_path_factory.mktemp("served") / "log"
    given = {"GPTCLI_DATA_DIR": str(shared_data_dir)}
    with serving(log, *F32, model="smollm2", **given) as found:
        yield found


def script(python: str, text: str, *arguments: str, home: Path, **env: str) -> str:
    """What a client's program prints."""
    done = subprocess.run(
        [python, "-c", text, *arguments],
        capture_output=True,
        text=True,
        cwd=home,
        env={**os.environ, "HOME": str(home), "OPENAI_API_KEY": "none", **env},
        timeout=900,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


OPENAI = """
import json, sys
from openai import BadRequestError, NotFoundError, OpenAI
client = OpenAI(base_url=sys.argv[1], max_retries=0)
prompts = json.loads(sys.argv[2])
told = {"models": [each.id for each in client.models.list()]}
ask = {"model": "smollm2", "temperature": 0, "seed": 1}
whole = client.completions.create(prompt=prompts, max_tokens=16, **ask)
told["completions"] = [each.text for each in whole.choices]
told["usage"] = whole.usage.completion_tokens
def message(text):
    return [{"role": "user", "content": text}]
told["chats"], told["streamed"] = [], []
for each in prompts[:4]:
    whole = client.chat.completions.create(messages=message(each), max_tokens=16, **ask)
    told["chats"].append(whole.choices[0].message.content)
    parts = client.chat.completions.create(
        messages=message(each), max_tokens=16, stream=True,
        stream_options={"include_usage": True}, **ask
    )
    text, usage = "", None
    for part in parts:
        text += part.choices[0].delta.content if part.choices else ""
        usage = part.usage or usage
    told["streamed"].append(text)
    assert usage.completion_tokens == whole.usage.completion_tokens
logprobs = client.completions.create(
    prompt=prompts[0], max_tokens=0, echo=True, logprobs=3, **ask
).choices[0].logprobs
told["logprobs"] = logprobs.token_logprobs
vectors = client.embeddings.create(model="smollm2", input=prompts[:2])
told["embeddings"] = [each.embedding for each in vectors.data]
told["errors"] = []
for wrong in ({"temperature": -1}, {"extra_body": {"grammar": "x"}}, {"model": "gpt-4o"}):
    try:
        client.completions.create(**{"model": "smollm2", "prompt": "a", **wrong})
    except (BadRequestError, NotFoundError) as error:
        told["errors"].append([error.status_code, error.param])
with client.completions.create(prompt="On", max_tokens=1000, stream=True, **ask) as stream:
    next(iter(stream))
print(json.dumps(told))
"""


def greedy(command: str, prompt: str, *flags: str) -> str:
    done = run(command, *F32, "--temp", "0", "-n", "16", *flags, prompt)
    assert done.code == 0, done.err
    return done.text


def test_the_official_client(python, server, with_default_model, tmp_path):
    """Catches answers that OpenAI's own client cannot read, and others than the command line's."""
    base = f"{server.base}/v1"
    told = json.loads(script(python, OPENAI, base, json.dumps(PROMPTS), home=tmp_path))
    assert told["models"] == ["smollm2"]
    assert told["completions"] == [greedy("complete", prompt) for prompt in PROMPTS]
    assert told["streamed"] == told["chats"]
    wanted = [greedy("chat", prompt) for prompt in PROMPTS[:4]]
    assert told["chats"] == [text.removesuffix("\n") for text in wanted]
    scored = run("score", *F32, "--json", PROMPTS[0])
    own = [each["logprob"] for each in json.loads(scored.text)["tokens"]]
    assert told["logprobs"] == pytest.approx(own, abs=1e-5)
    assert {len(each) for each in told["embeddings"]} == {576}
    assert told["errors"] == [[400, "temperature"], [400, "grammar"], [404, "model"]]


def test_llm(python, server, with_default_model, tmp_path):
    """Catches what Simon Willison's llm sends and this server refuses."""
    models = [
        {"model_id": "chat", "model_name": "smollm2", "api_base": f"{server.base}/v1"},
        {"model_id": "text", "model_name": "smollm2", "api_base": f"{server.base}/v1"},
    ]
    models[1]["completion"] = True
    (tmp_path / "extra-openai-models.yaml").write_text(json.dumps(models))

    def llm(*arguments: str) -> str:
        text = "import sys; from llm.cli import cli; cli(sys.argv[1:])"
        where = {"LLM_USER_PATH": str(tmp_path)}
        return script(python, text, *arguments, home=tmp_path, **where)

    options = ("-o", "temperature", "0", "-o", "max_tokens", "16")
    for stream in ((), ("--no-stream",)):
        said = llm("-m", "chat", *options, *stream, "Name a colour.")
        assert said.strip() == greedy("chat", "Name a colour.").strip()
    said = llm("-m", "text", *options, "The sea is")
    assert said.strip() == greedy("complete", "The sea is").strip()


def document(query: str) -> str:
    return ExampleTemplate(TEMPLATE, "\n\n").document(None, EXAMPLES, query)


def by_transformers(directory: Path, rows: list[dict[str, Any]]) -> list[int]:
    """Which label each row gets, by the sum of its tokens' log-probabilities."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(directory)
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()
    found = []
    for row in rows:
        sums = []
        for label in ROWS:
            before = len(tokenizer(row["prompt"])["input_ids"])
            ids = tokenizer(f"{row['prompt']} {label}")["input_ids"]
            with torch.no_grad():
                logprobs = model(torch.tensor([ids])).logits[0].log_softmax(-1)
            sums.append(sum(logprobs[at - 1, ids[at]].item() for at in range(before, len(ids))))
        found.append(sums.index(max(sums)))
    return found


def test_lm_eval(python, server, with_default_model, plain_default_model, tmp_path):
    """Catches log-probabilities that evaluations read wrong: answers of few-shot and transformers
    to the same rows are others then.
    """
    rows = [
        {"prompt": document(text).rstrip(), "label": label, "input": text, "output": name}
        for label, (name, texts) in enumerate(ROWS.items())
        for text in texts
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    task = {
        "task": "moods",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(tmp_path / "rows.jsonl")}},
        "output_type": "multiple_choice",
        "test_split": "test",
        "doc_to_text": "{{prompt}}",
        "doc_to_choice": list(ROWS),
        "doc_to_target": "label",
        "metric_list": [{"metric": "acc"}],
    }
    (tmp_path / "moods.yaml").write_text(json.dumps(task))
    settings = f"model=smollm2,base_url={server.base}/v1/completions,num_concurrent=4"
    settings += f",tokenizer_backend=huggingface,tokenizer={plain_default_model},max_length=2048"
    script(
        python,
        "from lm_eval.__main__ import cli_evaluate; cli_evaluate()",
        *("run", "--model", "local-completions", "--model_args", settings, "--tasks", "moods"),
        *("--include_path", str(tmp_path), "--output_path", str(tmp_path / "out")),
        *("--log_samples", "--batch_size", "2"),
        home=tmp_path,
        HF_HUB_OFFLINE="1",
        HF_DATASETS_CACHE=str(tmp_path / "datasets"),
    )
    (results,) = (tmp_path / "out").rglob("results_*.json")
    theirs = json.loads(results.read_text())["results"]["moods"]["acc,none"]
    (samples,) = (tmp_path / "out").rglob("samples_*.jsonl")
    told = [json.loads(line) for line in samples.read_text().splitlines()]
    told.sort(key=lambda each: each["doc_id"])
    chosen = [[float(each[0]) for each in sample["filtered_resps"]] for sample in told]
    chosen = [each.index(max(each)) for each in chosen]
    flags = [part for each in EXAMPLES for part in ("--example", each.input, each.output)]
    done = run(
        *("few-shot", *F32, *flags, "--template", TEMPLATE, "--classify", "--json"),
        *("--evaluate", str(tmp_path / "rows.jsonl")),
        *("--input-field", "input", "--output-field", "output"),
    )
    assert done.code == 0, done.err
    ours = json.loads(done.text)
    assert theirs == pytest.approx(ours["accuracy"], abs=1e-12)
    names = list(ROWS)
    assert [names[each] for each in chosen] == [each["answer"] for each in ours["results"]]
    assert chosen == by_transformers(plain_default_model, rows)
    assert 0.5 < theirs < 1

"""`gptcli embed`: texts in, a vector out for each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, cast

from gptcli import units
from gptcli.cli.environment import Environment
from gptcli.cli.exports import answer_in, check_file, write
from gptcli.cli.flags.batch import OUTPUT, Batch
from gptcli.cli.flags.embedding import Embedding
from gptcli.cli.flags.groups import but, only
from gptcli.cli.flags.output import CountedOutput
from gptcli.cli.flags.place import Reading
from gptcli.cli.flags.source import Source, checked
from gptcli.cli.input.lines import STDIN, name_of
from gptcli.cli.input.prompt import read_file, read_prompt
from gptcli.cli.opening import Clock, open_for
from gptcli.errors import InputError, UsageError
from gptcli.types.embedding import EmbeddingRequest
from gptcli.ui.data import arrays
from gptcli.ui.terminal.messages import Messages
from gptcli.ui.views import embedding as view

#: (what it is for, the command), for the man page.
EXAMPLES = (
    ("Where two texts lie.", 'gptcli embed --normalize "a cat" "a dog"'),
    ("As an array for NumPy, a row for each file.", "gptcli embed -f a.txt -f b.txt -o x.npy"),
    ("Many texts, a JSON object for each.", "gptcli embed --batch texts.txt -o vectors.jsonl"),
    (
        "As OpenAI's clients have it.",
        'gptcli embed --json --pool last --normalize "The capital of France"',
    ),
)
_EXAMPLE = 'gptcli embed "a text"'
_ARRAYS = (".npy", ".npz")


def embed(
    environment: Environment,
    embedding: Embedding,
    source: Annotated[
        Source,
        only(
            "verbatim",
            special="Read control tokens such as <|im_end|> in the texts as tokens, not as text.",
            file={
                "help": "Read a text from a file, - is stdin. Repeatable: a vector each.",
                "brief": "Read a text from a file, - is stdin.",
            },
        ),
    ],
    compute: Reading,
    batch: Annotated[
        Batch,
        but(output=f"{OUTPUT} FILE.npy gets the vectors as an array, FILE.npz texts beside it."),
    ],
    output: Annotated[CountedOutput, but(json="One JSON object, as OpenAI's embeddings have it.")],
) -> None:
    """Turn texts into vectors.

    A text's vector is what the model's head would read, the last hidden state behind the final
    norm: the mean over its tokens, or that of the last. They are the vectors of a server's
    /v1/embeddings, which scales them to length 1; --normalize does the same. Texts are arguments
    and files, else stdin is one. A pipe gets the numbers of a text in a line, tab-separated.
    """
    request = EmbeddingRequest(
        pooling=cast(Literal["mean", "last"] | None, embedding.pool),
        dimensions=embedding.dimensions,
        scaled=embedding.normalize,
        special=source.special,
    )
    messages = output.messages(environment)
    array = batch.output if batch.output and batch.output.suffix in _ARRAYS else None
    if array is not None and output.json:
        raise UsageError("--json", f"cannot be combined with {array}, which is an array")
    if batch.wanted_or_answer:
        from gptcli.cli.batching import looks, running

        if array is not None:
            raise UsageError("--output", f"{array}: results of --batch are JSON lines")
        batch.refuse(source, TEXT=embedding.texts)
        job = looks.embeddings(request, compute)
        running.run_batch(environment, batch, job, messages, stats=output.stats)
        return
    texts = _texts(environment, embedding, source, messages)
    if array is not None:
        check_file(array)
    clock = Clock()
    with answer_in(environment, None if array else batch.output):
        backend = clock.opened(open_for(compute, messages))
        found = [backend.answer(replace(request, text=t, subject=s)) for s, t in texts]
        words = [text for _, text in texts]
        if array is not None:
            data = arrays.embeddings(words, found, alone=array.suffix == ".npy")
            write(array, data)
            messages.info(f"wrote {array} ({units.size(len(data))})")
        elif output.json:
            environment.data().json(view.as_json(found))
        else:
            view.show(environment.stdout, words, found)
    if output.stats:
        counts = [each.tokens for each in found]
        read = None if None in counts else sum(count or 0 for count in counts)
        messages.report(clock.stats(found[0].source, read))


def _texts(
    environment: Environment, embedding: Embedding, source: Source, messages: Messages
) -> list[tuple[str, str]]:
    """What to call each text in an error, and the text. Raises as `read_prompt` does."""
    found = []
    for number, text in enumerate(embedding.texts, start=1):
        if text == STDIN:
            source = replace(source, file=(Path(STDIN), *source.file))
        else:
            found.append((f"text {number}", checked(text, "text")))
    for file in source.file:
        found.append((name_of(file), read_file(environment, file, verbatim=source.verbatim)))
    if not found:
        text = read_prompt(environment, source, messages, what="text", example=_EXAMPLE)
        found.append(("text", text))
    for subject, text in found:
        if not text:
            raise InputError(subject, "is empty")
    return found

"""Many few-shot queries, against the full prompt of each: `python -m tests.bench.few_shot`.

Prints a table, and a JSON line last: seconds of each round, their ratio, and how many answers are
the same.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

from gptcli.backends import Backend, open_backend
from gptcli.text.example_template import ExampleTemplate
from gptcli.types.completion import Chunk, Request
from gptcli.types.compute import Compute
from gptcli.types.few_shot import Answer, Example, FewShotQueries, FewShotRequest, Query
from gptcli.types.sampling import SamplingWish
from tests.tasks import ended

GREEDY = SamplingWish(temperature=0.0)
MOST = 8


def example(number: int) -> Example:
    """A sum of two numbers, another one for each number below 1,000."""
    one, other = 2 + number * 7 % 90, 3 + number * 13 % 80
    return Example(f"{one} plus {other}", f"{one + other}")


def shared(backend: Backend, examples: list[Example], queries: list[str]) -> list[str]:
    """All queries on one prefix, in batches."""
    request = FewShotRequest(tuple(examples), sampling=GREEDY, max_new_tokens=MOST)
    asked = (Query(f"query {place}", text) for place, text in enumerate(queries, 1))
    events = backend.answer(FewShotQueries(request, asked))
    return [event.text for event in events if isinstance(event, Answer)]


def one_by_one(backend: Backend, examples: list[Example], queries: list[str]) -> list[str]:
    """The full prompt of each query, by itself."""
    form = FewShotRequest(tuple(examples)).form
    template = ExampleTemplate(form.template, form.separator)
    found = []
    for query in queries:
        request = Request(
            template.document(None, examples, query),
            sampling=GREEDY,
            max_new_tokens=MOST,
            stop=template.stops(examples),
        )
        chunks = (event for event in backend.answer(request) if isinstance(event, Chunk))
        found.append("".join(chunk.text for chunk in chunks).strip())
    return found


def opened(model: str, dtype: str) -> Backend:
    """The model's backend, its progress passed over."""
    return ended(open_backend(Compute(model, dtype=dtype)))


def timed(work: Callable[[], list[str]]) -> tuple[float, list[str]]:
    """Seconds, and what came of it."""
    start = time.perf_counter()
    found = work()
    return time.perf_counter() - start, found


def main() -> None:
    """Interleaved rounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--examples", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    backend = opened(given.model, given.dtype)
    examples = [example(place) for place in range(given.examples)]
    queries = [example(given.examples + place).input for place in range(given.queries)]
    shared(backend, examples, queries[:4])
    one_by_one(backend, examples, queries[:1])
    rounds = []
    print(f"{'round':>5}  {'shared':>9}  {'one by one':>10}  {'ratio':>6}  same answers")
    for number in range(1, given.rounds + 1):
        fast, ours = timed(lambda: shared(backend, examples, queries))
        slow, theirs = timed(lambda: one_by_one(backend, examples, queries))
        same = sum(a == b for a, b in zip(ours, theirs, strict=True))
        rounds.append({"shared": fast, "one_by_one": slow, "ratio": slow / fast, "same": same})
        print(f"{number:>5}  {fast:>7.2f} s  {slow:>8.2f} s  {slow / fast:>6.2f}  {same}")
    ratio = statistics.median(each["ratio"] for each in rounds)
    print(json.dumps({**vars(given), "median_ratio": ratio, "rounds": rounds}))


if __name__ == "__main__":
    main()

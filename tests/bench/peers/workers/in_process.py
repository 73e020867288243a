"""Prompts as the clients' without a server, side by side: a JSON line with new tokens per second.

`python -m tests.bench.peers.workers.in_process ARGUMENT...`, of `gptcli complete` for the model.
"""

from __future__ import annotations

import argparse
import json
import time

from gptcli.backends import open_backend
from gptcli.types.batch import Asked, BatchRequest, Told
from gptcli.types.completion import Request, Usage
from gptcli.types.compute import Compute
from gptcli.types.sampling import SamplingWish
from tests.bench.peers.cases import BATCH, BATCH_NEW
from tests.bench.peers.clients import ENDS, prompts_of
from tests.tasks import ended


class _All:
    """Everything at once."""

    def __init__(self, prompts: int, tokens: int) -> None:
        bias = tuple((str(end), -100.0) for end in ENDS)
        wish = SamplingWish(temperature=0.0, logit_bias=bias)
        asked = [
            Request(each, sampling=wish, max_new_tokens=tokens) for each in prompts_of(prompts)
        ]
        self._left = [Asked(key, each) for key, each in enumerate(asked)]

    def take(self, *, wait: bool, room: bool = True) -> Asked | None:
        return self._left.pop(0) if room and self._left else None


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("-m", dest="model", required=True)
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--prompts", type=int, default=BATCH)
    parser.add_argument("--most", type=int, help="how many run at once")
    given = vars(parser.parse_args())
    prompts, most = given.pop("prompts"), given.pop("most")
    backend = ended(open_backend(Compute(**given)))
    for tokens in (8, BATCH_NEW):
        start = time.perf_counter()
        events = list(backend.answer(BatchRequest(_All(prompts, tokens), most)))
        seconds = time.perf_counter() - start
    usages = [each.part for each in events if isinstance(each, Told)]
    drawn = sum(each.completion_tokens for each in usages if isinstance(each, Usage))
    assert drawn == BATCH_NEW * prompts, drawn
    print(json.dumps({"tokens_per_second": drawn / seconds}))


if __name__ == "__main__":
    main()

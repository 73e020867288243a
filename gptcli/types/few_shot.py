"""What is answered after examples? Examples in a prompt, queries after them, and the answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import field
from typing import Literal

from gptcli.errors import GptcliError
from gptcli.plain import dataclass
from gptcli.types.chat import ChatDocument, ChatForm
from gptcli.types.constraints import Constraint, ConstraintUse
from gptcli.types.drafts import Drafts
from gptcli.types.evaluation import Accuracies, Evaluation, Match, Outcome
from gptcli.types.events import Notice
from gptcli.types.prompt_cache import PromptCacheUse
from gptcli.types.question import Question
from gptcli.types.sampling import Sampling, SamplingWish
from gptcli.types.token import Source

Order = Literal["given", "random", "similar"]
ORDERS: tuple[Order, ...] = ("given", "random", "similar")
DEFAULT_TEMPLATE = "Input: {input}\nOutput: {output}"
DEFAULT_SEPARATOR = "\n\n"
DEFAULT_INPUT_FIELD, DEFAULT_OUTPUT_FIELD = "input", "output"


@dataclass(frozen=True)
class Example:
    """An input and the output that it should have."""

    input: str
    output: str


@dataclass(frozen=True)
class Query:
    """An input to be answered, and what to call it in an error."""

    subject: str
    text: str


@dataclass(frozen=True)
class Expected(Query):
    """A query and the answer that is due."""

    output: str


@dataclass(frozen=True)
class FewShotForm:
    """How examples and a query become a document.

    template: what one example looks like, with `{input}` and, after it, `{output}` once each, and
    `{{` and `}}` for braces. The query is written in the same way up to its output.
    instruction: stands before everything; in a chat it is the system message.
    separator: stands between the instruction, the examples and the query.
    chat: None for one text; else examples are turns of a conversation of that form, inputs the
    user's and outputs the assistant's, and the template is not used.
    """

    template: str = DEFAULT_TEMPLATE
    instruction: str | None = None
    separator: str = DEFAULT_SEPARATOR
    chat: ChatForm | None = None


@dataclass(frozen=True)
class FewShotRequest:
    """Answers to be made to queries, each after the same examples.

    shots: how many of the examples to use, None for all. order: as given, shuffled by `order_seed`
    (then the first `shots`), or for each query those most like it, the likest next to it.
    labels: where there are any, their probabilities are compared instead of a text drawn;
    calibrate: what they are worth for inputs without content is divided out.
    max_new_tokens: of a free answer. stop: texts that end one beside those of the form. constraint:
    what a free answer has to be, None for any text.
    """

    examples: tuple[Example, ...]
    form: FewShotForm = field(default_factory=FewShotForm)
    shots: int | None = None
    order: Order = "given"
    order_seed: int = 0
    labels: tuple[str, ...] = ()
    calibrate: bool = False
    sampling: SamplingWish = field(default_factory=SamplingWish)
    max_new_tokens: int = 64
    stop: tuple[str, ...] = ()
    seed: int = 0
    constraint: Constraint | None = None


@dataclass(frozen=True)
class LabelShare:
    """A label, the natural log-probability of all its tokens, and its share among the labels.

    calibrated: its share once what it is worth without content is divided out, None where nothing
    was calibrated.
    """

    label: str
    logprob: float
    probability: float
    calibrated: float | None = None

    @property
    def share(self) -> float:
        """What decides: the calibrated share where there is one."""
        return self.probability if self.calibrated is None else self.calibrated


@dataclass(frozen=True)
class Answer:
    """The answer to query `index` (from 0): a free text without white space around it, or a label.

    finish_reason: "stop" (an end token or the form's border), "length", or "label". shares: of
    all labels in the order in which they were given. prompt_tokens: of the whole document;
    reused_tokens of them were computed before, for all queries together. thinking: what the model
    thought before it, in a chat.
    """

    index: int
    input: str
    text: str
    finish_reason: str
    prompt_tokens: int
    reused_tokens: int
    completion_tokens: int
    shares: tuple[LabelShare, ...] = ()
    thinking: str = ""


@dataclass(frozen=True)
class FewShotUsage:
    """What all the answers took. Seconds are wall-clock, computed_tokens what was really run.

    sampling, prompt_cache: as in Usage. drafts, constraint: of all answers.
    """

    queries: int
    prompt_tokens: int
    computed_tokens: int
    completion_tokens: int
    seconds: float
    source: Source
    seed: int
    sampling: Sampling | SamplingWish
    prompt_cache: PromptCacheUse | None = None
    drafts: Drafts | None = None
    constraint: ConstraintUse | None = None


FewShotEvent = Answer | Notice | FewShotUsage


@dataclass(frozen=True)
class FewShotQueries(Question[Iterator[FewShotEvent]]):
    """An Answer to each query, in order and as they come, and one FewShotUsage.

    That comes last, or before an error. None among the queries says that there are no more for
    the moment: what came is answered. What an error of `queries` comes after is answered first.
    """

    asks = "learn from examples"

    request: FewShotRequest
    queries: Iterable[Query | None]


@dataclass(frozen=True)
class FewShotDocumentRequest(Question[ChatDocument]):
    """The exact document that would be continued for a query."""

    asks = "make a document"

    request: FewShotRequest
    query: Query


@dataclass(frozen=True)
class Judged:
    """An input, and its answer beside the one that was due; shares: of all labels."""

    input: str
    outcome: Outcome
    shares: tuple[LabelShare, ...] = ()


@dataclass(frozen=True)
class LeftOut:
    """How it goes without an example: `accuracy`, and what having the example adds to that.

    added_log: by how much it lowers the log-loss, in nats; None for free answers.
    """

    example: Example
    accuracy: float
    added: float
    added_log: float | None


@dataclass(frozen=True)
class Report:
    """An evaluation with its rows, and how it varies; `usage` of all runs together.

    stopped_by: the error after which there are no more rows, nor any variations.
    """

    evaluation: Evaluation
    match: Match
    rows: tuple[Judged, ...]
    orders: Accuracies | None
    left_out: tuple[LeftOut, ...]
    usage: FewShotUsage
    stopped_by: GptcliError | None = None


def labels_of(examples: Sequence[Example]) -> tuple[str, ...]:
    """The outputs of the examples, each once, in the order in which they first occur."""
    return tuple(dict.fromkeys(example.output for example in examples))

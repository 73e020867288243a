"""An answer of a type: labels compared, or a number or a date drawn token by token."""

from __future__ import annotations

import math

from gptcli.backends.local.chat import LocalChat
from gptcli.backends.local.constraining import Constrained
from gptcli.backends.local.few_shot_labels import Labels
from gptcli.backends.local.few_shot_prompts import asked as asked_prompt
from gptcli.backends.local.few_shot_prompts import prompts_for
from gptcli.backends.local.open_model import OpenModel
from gptcli.text.transcript import Transcript
from gptcli.types.ask import AskRequest, Kind, Value
from gptcli.types.chat import ChatForm
from gptcli.types.constraints import Constraint
from gptcli.types.few_shot import FewShotForm, FewShotRequest, Query

_MONTHS = "(0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)"
_LEAP = "([0-9][0-9](0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)"
#: What values look like: of an int what 64 bits hold; of a date those that there are.
PATTERNS: dict[Kind, str] = {
    "int": "-?(0|[1-9][0-9]{0,17})",
    "float": r"-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,15})?",
    "date": f"[0-9]{{4}}-({_MONTHS}|02-(0[1-9]|1[0-9]|2[0-8]))|{_LEAP}-02-29",
}


def answer(model: OpenModel, request: AskRequest) -> Value:
    """See AskRequest. Raises ContextError where the question does not fit."""
    from gptcli.engine.asking.constraining.value import likeliest_value
    from gptcli.engine.asking.prefix import PrefixCache

    asked = _asked(model, request)
    prompts = prompts_for(model, asked)
    query, prefix = request.question, PrefixCache(model.runner, comes_back=False)
    prompt = asked_prompt(model, prompts, 0, Query("question", query), (), request.type.labels)
    ids = prompt.ids
    if prompt.labels:
        (found,) = Labels(prefix, prompts, asked).answers([prompt])
        text, shares = found.text, found.shares
        probability = max(each.share for each in shares)
    else:
        constraint, shares = Constraint("regex", PATTERNS[request.type.kind]), ()
        white = asked.form.chat is None
        grammar = Constrained(model, constraint, prompts.ends, white=white).grammar
        assert grammar is not None
        data, logprob = likeliest_value(prefix, ids, grammar.begin(), grammar.words)
        text, probability = data.decode().strip(), math.exp(logprob)
    return Value(request, text, probability, shares, len(ids), model.source)


def _asked(model: OpenModel, request: AskRequest) -> FewShotRequest:
    """The question as one after no examples."""
    chat = ChatForm()
    if isinstance(model.kept(LocalChat).form(chat), Transcript):
        # A space before the answer, unless the question ends with its own.
        between = "" if request.question[-1:].isspace() else " "
        form = FewShotForm(template="{input}" + between + "{output}")
    else:
        system = request.type.instruction if request.system is None else request.system
        form = FewShotForm(instruction=system or None, chat=chat)
    return FewShotRequest(examples=(), form=form, shots=0, labels=request.type.labels)

"""An answer of a type: labels compared, or a number or a date drawn token by token."""

from __future__ import annotations

import math

from gptcli.backends.asked_values import PATTERNS, as_few_shot
from gptcli.backends.local.chat import LocalChat
from gptcli.backends.local.constraining import Constrained
from gptcli.backends.local.few_shot_labels import Labels
from gptcli.backends.local.few_shot_prompts import asked as asked_prompt
from gptcli.backends.local.few_shot_prompts import prompts_for
from gptcli.backends.local.open_model import OpenModel
from gptcli.text.transcript import Transcript
from gptcli.types.ask import AskRequest, Value
from gptcli.types.chat import ChatForm
from gptcli.types.constraints import Constraint
from gptcli.types.few_shot import FewShotRequest, Query


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
    talks = not isinstance(model.kept(LocalChat).form(chat), Transcript)
    return as_few_shot(request, chat if talks else None)

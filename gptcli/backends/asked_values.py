"""What values look like, and a question for one as an input after no examples."""

from __future__ import annotations

from gptcli.types.ask import AskRequest, Kind
from gptcli.types.chat import ChatForm
from gptcli.types.few_shot import FewShotForm, FewShotRequest

_MONTHS = "(0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)"
_LEAP = "([0-9][0-9](0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)"
#: What values look like: of an int what 64 bits hold; of a date those that there are.
PATTERNS: dict[Kind, str] = {
    "int": "-?(0|[1-9][0-9]{0,17})",
    "float": r"-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,15})?",
    "date": f"[0-9]{{4}}-({_MONTHS}|02-(0[1-9]|1[0-9]|2[0-8]))|{_LEAP}-02-29",
}


def system_of(request: AskRequest) -> str:
    """What a model is told that talks; nothing where that is so wished."""
    return request.type.instruction if request.system is None else request.system


def as_few_shot(request: AskRequest, chat: ChatForm | None) -> FewShotRequest:
    """The question after no examples. chat: as in FewShotForm; None continues its text."""
    if chat is None:
        # A space before the answer, unless the question ends with its own.
        between = "" if request.question[-1:].isspace() else " "
        form = FewShotForm(template="{input}" + between + "{output}")
    else:
        form = FewShotForm(instruction=system_of(request) or None, chat=chat)
    return FewShotRequest(examples=(), form=form, shots=0, labels=request.type.labels)

"""Completions and chats in OpenAI's shapes, whole or as the events of a stream."""

from __future__ import annotations

import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from gptcli.server.legacy_logprobs import LegacyLogprobs
from gptcli.server.sending import Sending
from gptcli.server.tally import Tally
from gptcli.types.completion import Chunk, PromptPiece, TokenInfo, Usage
from gptcli.types.events import Notice
from gptcli.ui.views.completion import token as token_json


@dataclass
class _Choice:
    """One answer as it grows, or what of it was not sent yet."""

    texts: list[str] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    tokens: list[TokenInfo] = field(default_factory=list)
    ending: TokenInfo | None = None
    finish_reason: str | None = None


class Reply(ABC):
    """What both have in common: the head, the choices' numbers, usage, notices.

    samples: how many answers each question gets by itself, `choices` how many there are in all.
    """

    kind = prefix = ""

    def __init__(
        self, model: str, sending: Sending, tally: Tally, *, samples: int, choices: int
    ) -> None:
        self._stream, self._include_usage = sending.stream, sending.include_usage
        self._tally, self._samples = tally, samples
        self._choices = [_Choice() for _ in range(choices)]
        self._usages: list[Usage] = []
        self._notices: list[dict[str, str]] = []
        #: Of which something was not told yet, in a stream.
        self._grown: dict[int, None] = {}
        self._head: dict[str, Any] = {
            "id": f"{self.prefix}-{uuid.uuid4().hex}",
            "object": self.kind + (".chunk" if sending.stream and self.prefix != "cmpl" else ""),
            "created": int(time.time()),
            "model": model,
            "seed": sending.seed,
        }

    def take(self, question: int, part: Any) -> None:
        """See answering.Reply."""
        if isinstance(part, Notice):
            told = {"subject": part.subject, "text": part.text}
            if told not in self._notices:
                self._notices.append(told)
            return
        self._tally.part_came()
        if isinstance(part, Usage):
            self._usages.append(part)
            unfinished = part.constraint.unfinished if part.constraint else ()
            for each in unfinished:
                self._notices.append({"subject": "constraint", "text": each.in_words})
            self._tally.prompt_tokens += part.prompt_tokens or 0
            self._tally.completion_tokens += part.completion_tokens or 0
            return
        assert isinstance(part, Chunk)
        index = question * self._samples + part.index
        choice = self._choices[index]
        self._grown[index] = None
        self._write(index, choice, part)
        choice.tokens += part.tokens
        choice.ending = part.ending
        choice.finish_reason = part.finish_reason

    def events(self) -> list[dict[str, Any]]:
        """See answering.Reply. What came of a choice since is one, however many tokens it is."""
        found = []
        for index in self._grown:
            choice, self._choices[index] = self._choices[index], _Choice()
            for piece in self._pieces(choice):
                shown = {"index": index} | self._said(index, piece)
                event = self._head | {"choices": [shown | {"finish_reason": piece.finish_reason}]}
                event |= self._told()
                self._notices.clear()
                found.append(event | {"usage": None} if self._include_usage else event)
        self._grown.clear()
        return found

    def last(self) -> list[dict[str, Any]]:
        """See answering.Reply."""
        if not (self._stream and self._include_usage):
            return []
        return [self._head | {"choices": [], "usage": self._usage()} | self._told()]

    def whole(self) -> dict[str, Any]:
        """See answering.Reply."""
        choices = [
            {"index": index} | self._said(index, choice) | {"finish_reason": choice.finish_reason}
            for index, choice in enumerate(self._choices)
        ]
        return self._head | {"choices": choices, "usage": self._usage()} | self._told()

    def _pieces(self, choice: _Choice) -> list[_Choice]:
        """The events that one makes, each as if nothing else were there."""
        return [choice]

    def _write(self, index: int, choice: _Choice, chunk: Chunk) -> None:
        choice.texts.append(chunk.text)

    @abstractmethod
    def _said(self, index: int, choice: _Choice) -> dict[str, Any]:
        """What a choice holds, in the language of the kind."""

    def _told(self) -> dict[str, Any]:
        """What a user should know, where there is something."""
        return {"notices": list(self._notices)} if self._notices else {}

    def _prompt_tokens(self) -> int:
        return sum(each.prompt_tokens or 0 for each in self._usages)

    def _usage(self) -> dict[str, Any]:
        prompt = self._prompt_tokens()
        completion = sum(each.completion_tokens or 0 for each in self._usages)
        reused = sum(each.reused_tokens for each in self._usages)
        thought = sum(each.reasoning_tokens for each in self._usages)
        details = {"completion_tokens_details": {"reasoning_tokens": thought}} if thought else {}
        return {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": reused},
            **details,
        }


class CompletionReply(Reply):
    """`text_completion`. echo: the prompts' texts, one a question; None does not tell them.

    by_id: tokens among log-probabilities are named by their ids.
    """

    kind, prefix = "text_completion", "cmpl"

    def __init__(
        self,
        model: str,
        sending: Sending,
        tally: Tally,
        *,
        questions: int,
        samples: int,
        echo: Sequence[str | None] | None,
        logprobs: bool,
        by_id: bool,
    ) -> None:
        super().__init__(model, sending, tally, samples=samples, choices=questions * samples)
        self._logprobs = [LegacyLogprobs(by_id=by_id) for _ in self._choices] if logprobs else []
        for index, choice in enumerate(self._choices):
            said = echo[index // samples] if echo else None
            choice.texts += [said] if said else []

    def take(self, question: int, part: Any) -> None:
        """See answering.Reply."""
        if not isinstance(part, PromptPiece):
            super().take(question, part)
            return
        self._tally.part_came()
        first = question * self._samples
        for logprobs in self._logprobs[first : first + self._samples]:
            logprobs.add(part.tokens)

    def _said(self, index: int, choice: _Choice) -> dict[str, Any]:
        found: dict[str, Any] = {"text": "".join(choice.texts), "logprobs": None}
        if self._logprobs:
            # The end token too: who counts tokens of prompt and answer relies on each.
            self._logprobs[index].add([*choice.tokens, *filter(None, [choice.ending])])
            found["logprobs"] = self._logprobs[index].taken()
        return found


class ChatReply(Reply):
    """`chat.completion`, or its chunks; what was thought is in `reasoning_content`."""

    kind, prefix = "chat.completion", "chatcmpl"

    def __init__(
        self,
        model: str,
        sending: Sending,
        tally: Tally,
        *,
        answers: int,
        logprobs: bool,
    ) -> None:
        super().__init__(model, sending, tally, samples=1, choices=answers)
        self._logprobs = logprobs
        self._named: set[int] = set()

    def _write(self, index: int, choice: _Choice, chunk: Chunk) -> None:
        choice.thoughts += [chunk.thinking] if chunk.thinking else []
        choice.texts += [chunk.text] if chunk.text or not chunk.thinking else []

    def _pieces(self, choice: _Choice) -> list[_Choice]:
        # Clients look for one or the other in an event.
        if choice.thoughts and any(choice.texts):
            return [_Choice(thoughts=choice.thoughts), replace(choice, thoughts=[])]
        return [choice]

    def _said(self, index: int, choice: _Choice) -> dict[str, Any]:
        said: dict[str, Any] = {}
        if index not in self._named:
            said["role"] = "assistant"
            self._named.add(index)
        if choice.thoughts:
            said["reasoning_content"] = "".join(choice.thoughts)
        if choice.texts or not (self._stream and choice.thoughts):
            said["content"] = "".join(choice.texts)
        told = {"content": list(map(token_json, choice.tokens))} if self._logprobs else None
        return {"delta" if self._stream else "message": said, "logprobs": told}

    def _prompt_tokens(self) -> int:
        # All answers are to the same conversation.
        return (self._usages[0].prompt_tokens or 0) if self._usages else 0

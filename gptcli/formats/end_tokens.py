"""Tokens that end a text or a turn, known by their texts, so that files need not name them.

A GGUF file names one end; the others of the model's generation_config.json were lost when it was
converted. Those that llama.cpp knows (`special_eog_ids` in its src/llama-vocab.cpp) are known here,
and those of Llama 4.
"""

from __future__ import annotations

from collections.abc import Collection

#: Ends of a turn, of a message, of a document.
_TURNS = ["<|eot_id|>", "<|eom_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<turn|>"]
_TURNS += ["<|return|>", "<|call|>", "<|calls|>", "<|flush|>", "<|tool_response>"]
_TURNS += ["<EOT>", "_<EOT>", "[EOT]", "<end_of_utterance>", "<|eot|>", "<|eom|>", "[e~["]
_DOCUMENTS = ["<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>", "[EOS]"]
_DOCUMENTS += ["<｜end▁of▁sentence｜>"]
#: Code in the middle of a file: padding, and where another repository or file begins.
_CODE = ["<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"]
_CODE += ["<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>", "<|file_sep|>"]


def among(texts: Collection[str]) -> list[str]:
    """The ends of text among a vocabulary's marks, in a fixed order."""
    return _less_messages([text for text in (*_TURNS, *_DOCUMENTS, *_CODE) if text in texts])


def of_turns(template: str) -> list[str]:
    """The ends of a turn that a chat template writes: whoever was taught by it ends so."""
    return _less_messages([text for text in _TURNS if text in template])


def _less_messages(found: list[str]) -> list[str]:
    """Without what ends a part of an answer only."""
    calls = "<|call|>" in found or "<|calls|>" in found
    if calls and ("<|return|>" in found or "<|flush|>" in found) and "<|end|>" in found:
        # gpt-oss and Solar end a message so, of which an answer has several.
        found.remove("<|end|>")
    if "<|tool_response>" in found and "</s>" in found:
        # Gemma 4 has it as a mark of HTML.
        found.remove("</s>")
    return found

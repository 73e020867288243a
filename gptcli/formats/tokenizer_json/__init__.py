"""tokenizer.json, made of what other files hold: SentencePiece pieces, or byte-level vocabularies.

Everything here gives plain dicts of the format that https://huggingface.co/docs/tokenizers
describes; nothing but `reading` opens a file.
"""

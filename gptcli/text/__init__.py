"""Text ⇄ token ids: the tokenizer, the streaming decoder, stop strings, the prompt's last token.

It never sees torch, and imports `tokenizers` only when a tokenizer is opened.
"""

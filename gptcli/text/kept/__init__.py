"""Large tokenizers in a form that opens at once.

The tokenizers library takes a second and hundreds of megabytes for a vocabulary of 262,144 tokens
and its half a million merges, whatever is asked of it. What opens here has the library do all that
stands before the model (added tokens, normaliser, pre-tokenizer, letters to first symbols, and
where in the text each came from) with a vocabulary of letters alone, and does the model's own work
on tables in a mapped file. It is made of what the library has understood, held to the library's
own answers when it is made, and left for the library wherever a text is long.
"""

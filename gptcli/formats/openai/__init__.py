"""Bodies of OpenAI's requests, over HTTP or in a row of a batch: fields → the questions they ask.

The forms are those of https://platform.openai.com/docs/api-reference, with what servers like it
have beside them. A field that cannot be obeyed is refused by its name: see `fields`.
"""

"""A model behind HTTP, in OpenAI's language: requests become questions, answers go back."""

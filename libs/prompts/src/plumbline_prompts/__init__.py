"""Prompts as files: templates that take what people wrote as data, with examples, tests and what is wrong with them."""

"""The front door: a question in, an answer with its sources out."""

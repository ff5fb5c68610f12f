"""Small models and text rules that services share: encoder, sentences, support."""

from plumbline_models.batching import BatchingEncoder
from plumbline_models.encoder import Encoder

__all__ = ["BatchingEncoder", "Encoder"]

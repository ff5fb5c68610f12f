"""Small models and text rules that services share: encoder, sentences, support."""

from plumbline_models.encoder import Encoder
from plumbline_models.remembering import RememberingEncoder
from plumbline_models.threaded import Motion, ThreadedEncoder

__all__ = ["Encoder", "Motion", "RememberingEncoder", "ThreadedEncoder"]

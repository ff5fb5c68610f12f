"""How well a text answers a question, by a model that reads both at once."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from onnxruntime import InferenceSession  # type: ignore[attr-defined]  # exported, but not in a way mypy sees
from tokenizers import Encoding, Tokenizer

from plumbline_models.encoder import TOKENIZER_FILE, session_options, sha256_of

MAX_TOKENS: Final = 512
REQUIRED_INPUTS: Final = {"input_ids", "attention_mask"}
KNOWN_INPUTS: Final = REQUIRED_INPUTS | {"token_type_ids"}


class CrossEncoder:
    """Pairs of texts to scores. Safe from several threads: a call frees the interpreter while it computes.

    Reads the usual export of a sentence-pair classifier: `input_ids`, `attention_mask` and perhaps
    `token_type_ids` in, logits of shape (batch, 1) or (batch, 2) out.
    """

    def __init__(self, id: str, session: InferenceSession, tokenizer: Tokenizer, *, max_tokens: int) -> None:
        """*tokenizer* is this encoder's alone. Raises `ValueError` for a *session* that needs other inputs."""
        self.id = id
        self._session = session
        self._inputs = _inputs(session)
        self._output = session.get_outputs()[0].name
        self._tokenizer = tokenizer
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_tokens)

    @classmethod
    def load(cls, directory: Path, *, max_tokens: int = MAX_TOKENS) -> "CrossEncoder":
        """Load the one ONNX file of *directory* and its `tokenizer.json`; the id is the folder's name and its hash.

        A pair is cut to *max_tokens*, those that frame it among them, at its longer text. Raises `FileNotFoundError`
        for what is missing, `ValueError` for several models or for one that is no classifier of pairs.
        """
        model = _model(directory)
        session = InferenceSession(str(model), session_options(threads=1), providers=["CPUExecutionProvider"])
        tokenizer = Tokenizer.from_str((directory / TOKENIZER_FILE).read_text(encoding="utf-8"))
        return cls(f"{directory.name}@{sha256_of(model)[:8]}", session, tokenizer, max_tokens=max_tokens)

    def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        """How well each of *texts* answers, in [0, 1], in their order.

        The sigmoid of one logit; of two, the softmax's share of the second, which is the class of what fits. A
        pair's score depends on that pair alone. Raises `ValueError` for a model that gives anything else.
        """
        pairs = self._tokenizer.encode_batch([(question, text) for text in texts])
        # One pair a run: nothing is padded, and the scales of an int8 model are those of the pair.
        margins = np.array([_margin(self._run(pair)) for pair in pairs])
        return [float(score) for score in sigmoid(margins)]

    def _run(self, pair: Encoding) -> NDArray[np.float64]:
        columns = {"input_ids": pair.ids, "attention_mask": pair.attention_mask, "token_type_ids": pair.type_ids}
        inputs = {name: np.array([columns[name]], np.int64) for name in self._inputs}
        return np.asarray(self._session.run([self._output], inputs)[0], np.float64)


def sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 / (1 + exp(-x)) of each, by tanh, which never overflows."""
    return np.asarray(0.5 + 0.5 * np.tanh(logits / 2))


def _margin(logits: NDArray[np.float64]) -> float:
    """The logit of "it fits"; of two classes, how far its logit is above the other's: softmax is a sigmoid of that."""
    if logits.shape not in ((1, 1), (1, 2)) or not np.isfinite(logits).all():
        raise ValueError(f"the cross-encoder gave {logits.tolist()} for a pair instead of one or two finite logits")
    return float(logits[0, 0] if logits.shape[1] == 1 else logits[0, 1] - logits[0, 0])


def _inputs(session: InferenceSession) -> list[str]:
    names = [each.name for each in session.get_inputs()]
    if not REQUIRED_INPUTS <= set(names) <= KNOWN_INPUTS:
        raise ValueError(f"a cross-encoder needs {sorted(REQUIRED_INPUTS)} and this model asks for {names}")
    return names


def _model(directory: Path) -> Path:
    found = sorted(directory.glob("*.onnx"))
    if not found:
        raise FileNotFoundError(f"no cross-encoder in {directory}: put an ONNX file and its {TOKENIZER_FILE} there")
    if len(found) > 1:
        raise ValueError(f"{directory} holds several models: {', '.join(each.name for each in found)}")
    return found[0]

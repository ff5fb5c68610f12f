"""Turns text into vectors: all-MiniLM-L6-v2 on onnxruntime."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from onnxruntime import (  # type: ignore[attr-defined]  # exported, but not in a way mypy sees
    InferenceSession,
    SessionOptions,
)
from tokenizers import Encoding, Tokenizer

MODEL_FILE: Final = "model.int8.onnx"
TOKENIZER_FILE: Final = "tokenizer.json"
DESCRIPTION_FILE: Final = "encoder.json"
TEXT_OUTPUT: Final = "sentence_embedding"
TOKENS_OUTPUT: Final = "token_embeddings"
POOLING_NODE: Final = "pool.kept"
"""Where `plumbline_models.minilm` begins to pool: the node's first input is a vector a token."""

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Description:
    """What a folder's encoder is: `encoder.json`."""

    id: str
    """Name and hash of the model file: vectors of two ids never mix."""
    sha256: str
    dimensions: int
    max_tokens: int
    """What lies beyond is not seen; the two tokens that frame a text count."""

    @classmethod
    def of_model(cls, name: str, model: Path, *, dimensions: int, max_tokens: int) -> "Description":
        """The description of a *model* file."""
        digest = sha256_of(model)
        return cls(f"{name}@{digest[:8]}", digest, dimensions, max_tokens)

    @classmethod
    def load(cls, directory: Path) -> "Description":
        """Read it. Raises `FileNotFoundError` that says how to build what is missing, `ValueError` if it is broken."""
        path = directory / DESCRIPTION_FILE
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            raise FileNotFoundError(
                f"no encoder in {directory}: build it with `python -m plumbline_models.build {directory}`"
            ) from None
        except TypeError as error:
            raise ValueError(f"{path}: {error}") from error

    def save(self, directory: Path) -> None:
        """Write it."""
        (directory / DESCRIPTION_FILE).write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    def describes(self, directory: Path) -> bool:
        """Whether the model file in *directory* is the one described."""
        return sha256_of(directory / MODEL_FILE) == self.sha256


def is_complete(directory: Path) -> bool:
    """Whether *directory* holds an encoder, whole and undamaged."""
    try:
        return Description.load(directory).describes(directory) and (directory / TOKENIZER_FILE).exists()
    except (OSError, ValueError):
        return False


class Encoder:
    """Text to vectors. Safe from several threads: a call frees the interpreter while it computes."""

    def __init__(self, description: Description, session: InferenceSession, tokenizer: str) -> None:
        """*tokenizer* is the content of a `tokenizer.json`."""
        self.id = description.id
        self.dimensions = description.dimensions
        self.max_tokens = description.max_tokens
        self._session = session
        self._with_tokens = TOKENS_OUTPUT in [output.name for output in session.get_outputs()]
        self._whole = _tokenizer(tokenizer)
        self._cut = _tokenizer(tokenizer)
        self._cut.enable_truncation(description.max_tokens)

    @classmethod
    def load(cls, directory: Path, *, threads: int = 1, with_tokens: bool = False) -> "Encoder":
        """Load from a folder that `build_encoder` made; *threads* are those of one call.

        `token_vectors` works only *with_tokens*; the id and the vectors of texts are the same either way.
        Raises `FileNotFoundError` for a missing folder, `ValueError` for a damaged one.
        """
        description = Description.load(directory)
        if not description.describes(directory):
            raise ValueError(f"the model file in {directory} is not the one its {DESCRIPTION_FILE} describes")
        model = _with_tokens(directory / MODEL_FILE) if with_tokens else str(directory / MODEL_FILE)
        session = InferenceSession(model, session_options(threads), providers=["CPUExecutionProvider"])
        return cls(description, session, (directory / TOKENIZER_FILE).read_text(encoding="utf-8"))

    def encode(self, texts: Sequence[str]) -> Vectors:
        """One L2-normalised row a text, in their order; shape (len(texts), dimensions).

        A text's vector depends on the text alone. Texts beyond 256 tokens are cut.
        """
        vectors = np.empty((len(texts), self.dimensions), np.float32)
        # One text a run: the int8 scale of an activation is that of its batch, so a text's vector would move by
        # 0.005 in cosine with its company. Passages are as fast this way, short questions a quarter slower.
        for row, encoding in enumerate(self._cut.encode_batch(list(texts))):
            vectors[row] = self._run(TEXT_OUTPUT, encoding.ids)
        return vectors

    def token_vectors(self, text: str) -> Vectors:
        """One L2-normalised row a token of *text*, in their order; shape (tokens, dimensions).

        A token's vector is what the model makes of it in this text. The two tokens that frame a text have no row, so
        an empty text has none. What lies beyond 256 tokens is cut. Raises `RuntimeError` without `with_tokens`.
        """
        if not self._with_tokens:
            raise RuntimeError("the encoder was loaded without its vectors of tokens")
        encoding = self._cut.encode(text)
        rows = self._run(TOKENS_OUTPUT, encoding.ids)[np.array(encoding.special_tokens_mask) == 0]
        vectors: Vectors = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return vectors

    def count_tokens(self, text: str) -> int:
        """Tokens of the whole *text*, without the two that frame it."""
        return len(self._tokenize(text).ids)

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """Where each token of the whole *text* lies, in code points, end exclusive."""
        return list(self._tokenize(text).offsets)

    def _tokenize(self, text: str) -> Encoding:
        return self._whole.encode(text, add_special_tokens=False)

    def _run(self, output: str, tokens: list[int]) -> Vectors:
        ids = np.array([tokens], np.int64)
        outputs = self._session.run([output], {"input_ids": ids, "attention_mask": np.ones_like(ids)})
        values: Vectors = np.asarray(outputs[0], np.float32)[0]
        return values


def token_counter(directory: Path) -> Callable[[str], int]:
    """What counts the tokens of a text as the encoder in *directory* does, without loading its model.

    Raises `FileNotFoundError` that says how to build what is missing.
    """
    Description.load(directory)
    tokenizer = _tokenizer((directory / TOKENIZER_FILE).read_text(encoding="utf-8"))
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)


def _with_tokens(model: Path) -> bytes:
    """The *model* that also puts out what it pools. The file, and with it the id of its vectors, stays as it is."""
    import onnx  # here, because it costs 0.1 s and 12 MB that only a reranker has a use for

    changed = onnx.load(model)
    pooled = [node.input[0] for node in changed.graph.node if node.name == POOLING_NODE]
    if len(pooled) != 1:
        raise ValueError(f"{model} does not pool the vectors of its tokens at a node {POOLING_NODE}")
    changed.graph.node.append(onnx.helper.make_node("Identity", pooled, [TOKENS_OUTPUT]))
    changed.graph.output.append(onnx.helper.make_tensor_value_info(TOKENS_OUTPUT, onnx.TensorProto.FLOAT, None))
    content: bytes = changed.SerializeToString()
    return content


def session_options(threads: int) -> SessionOptions:
    """For a session that shares the machine: *threads* a call, and no waiting in a loop."""
    options = SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Waiting threads that spin take the cores from the other workers: two become slower than one.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _tokenizer(content: str) -> Tokenizer:
    tokenizer = Tokenizer.from_str(content)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def sha256_of(path: Path) -> str:
    """Of the file's content, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

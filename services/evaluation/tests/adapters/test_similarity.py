"""`Similarity` on the real encoder, and on one that fails."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from plumbline_evaluation.adapters.similarity import EncoderSimilarity
from plumbline_kit.errors import Unavailable
from plumbline_models.encoder import Encoder, Vectors
from plumbline_models.threaded import ThreadedEncoder


class BrokenEncoder:
    id = "broken"
    dimensions = 384

    def encode(self, texts: Sequence[str]) -> Vectors:
        raise RuntimeError("out of memory")


async def test_texts_come_out_as_near_as_they_are(encoder_dir: Path) -> None:
    encoder = ThreadedEncoder(Encoder.load(encoder_dir))
    same, near, far = await EncoderSimilarity(encoder).to_each(
        "How much is the lamp?", ["How much is the lamp?", "The lamp costs 49 euros.", "Giraffes sleep standing."]
    )
    assert same == pytest.approx(1.0, abs=1e-5)
    assert same > near > 0.5 > 0.2 > far
    await encoder.aclose()


async def test_whatever_breaks_the_encoder_is_unavailability() -> None:
    encoder = ThreadedEncoder(BrokenEncoder())
    with pytest.raises(Unavailable, match="encoder failed"):
        await EncoderSimilarity(encoder).to_each("question", ["answer"])
    await encoder.aclose()

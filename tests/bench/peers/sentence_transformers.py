"""sentence-transformers: how fast the encoder is as most would run it."""

import sys
from pathlib import Path

from sentence_transformers import SentenceTransformer

from tests.bench.peers.yardstick import Job, Measured, encoding_rate


def main(folder: Path) -> None:
    """Measure the job in *folder*."""
    job = Job.load(folder)
    encoder = SentenceTransformer(job.model, device="cpu")
    Measured(encoding_rate(encoder.encode, job.passages)).save(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

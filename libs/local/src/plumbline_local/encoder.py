"""The text encoder's model, built once for each place that keeps models."""

from pathlib import Path

from plumbline_local.layout import Layout
from plumbline_local.locks import locked
from plumbline_local.parts import Say, quiet


def ensure_encoder(layout: Layout, say: Say = quiet) -> Path:
    """The folder of the model, built if it is not there yet; processes and threads that meet here build it once."""
    with locked(layout.models / "encoder.lock"):
        if not layout.encoder.exists():
            from plumbline_models.build import build_encoder  # loads onnx, which only this one moment needs

            say("encoder", "building")
            build_encoder(layout.encoder)
            say("encoder", "ready")
    return layout.encoder

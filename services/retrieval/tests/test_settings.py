"""What retrieval can be told."""

from pathlib import Path

import pytest

from plumbline_kit.settings import SettingsError
from plumbline_retrieval.settings import Settings


def test_every_default_is_local() -> None:
    settings = Settings.from_env({})
    assert (settings.service.name, settings.service.port) == ("retrieval", 7101)
    assert settings.state_dir == Path(".plumbline/retrieval")
    assert settings.index_workers == 2


def test_every_wrong_variable_is_named() -> None:
    with pytest.raises(SettingsError, match=r"(?s)PORT.*INDEX_WORKERS"):
        Settings.from_env({"PORT": "first", "INDEX_WORKERS": "0"})

"""What retrieval can be told."""

from pathlib import Path

import pytest

from plumbline_kit.settings import SettingsError
from plumbline_retrieval.settings import Roles, Settings


def test_every_default_is_local() -> None:
    settings = Settings.from_env({})
    assert (settings.service.name, settings.service.port) == ("retrieval", 7101)
    assert settings.state_dir == Path(".plumbline/retrieval")
    assert settings.index_workers == 2


def test_every_wrong_variable_is_named() -> None:
    with pytest.raises(SettingsError, match=r"(?s)PORT.*INDEX_WORKERS"):
        Settings.from_env({"PORT": "first", "INDEX_WORKERS": "0"})


def test_roles_that_are_parted_need_a_server() -> None:
    with pytest.raises(SettingsError, match="QDRANT_URL"):
        Settings.from_env({"ROLES": "api"})
    assert Settings.from_env({"ROLES": "api", "QDRANT_URL": "http://qdrant:6334"}).roles is Roles.API


def test_a_reranker_that_does_not_exist_is_refused() -> None:
    with pytest.raises(SettingsError, match="RERANKER"):
        Settings.from_env({"RERANKER": "magic"})

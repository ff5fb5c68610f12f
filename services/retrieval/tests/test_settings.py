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


def test_a_candidate_is_what_differs_from_the_first_index() -> None:
    assert Settings.from_env({}).candidate is None
    assert Settings.from_env({"CANDIDATE_PASSAGE_TOKENS": "220"}).candidate is None
    settings = Settings.from_env({"ENCODER_DIR": "/models/a", "CANDIDATE_PASSAGE_TOKENS": "120"})
    assert settings.candidate is not None
    assert (settings.candidate.encoder_dir, settings.candidate.passage_tokens) == (Path("/models/a"), 120)
    assert settings.index.passage_tokens == 220
    assert settings.indexes == (settings.index, settings.candidate)


def test_a_candidate_without_the_first_one_s_endpoint_or_server_says_none() -> None:
    first = {"EMBEDDING_BASE_URL": "http://models/v1", "QDRANT_URL": "http://qdrant:6334"}
    none = {"CANDIDATE_EMBEDDING_BASE_URL": "none", "CANDIDATE_QDRANT_URL": "none"}
    candidate = Settings.from_env(first | none).candidate
    assert candidate is not None
    assert (candidate.embedding.base_url, candidate.server.url) == ("", "")

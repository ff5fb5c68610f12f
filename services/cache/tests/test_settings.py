"""What the cache can be told."""

from pathlib import Path

import pytest

from plumbline_cache.settings import Settings
from plumbline_kit.settings import SettingsError


def test_every_default_is_local() -> None:
    settings = Settings.from_env({})
    assert (settings.service.name, settings.service.port) == ("cache", 7103)
    assert settings.state_dir == Path(".plumbline/cache")


def test_a_server_takes_the_place_of_the_engine_in_the_process() -> None:
    assert Settings.from_env({}).server.url == ""
    values = {"QDRANT_URL": "http://qdrant:6334", "QDRANT_API_KEY": "k", "QDRANT_SHARDS": "3", "QDRANT_REPLICAS": "2"}
    server = Settings.from_env(values).server
    assert (server.url, server.api_key, server.shards, server.replicas) == ("http://qdrant:6334", "k", 3, 2)


def test_a_wrong_variable_is_named() -> None:
    with pytest.raises(SettingsError, match="PORT"):
        Settings.from_env({"PORT": "first"})


def test_a_cache_holds_at_least_one_entry() -> None:
    with pytest.raises(SettingsError, match=r"MAX_ENTRIES.*MAX_ENTRIES_PER_TENANT"):
        Settings.from_env({"MAX_ENTRIES": "0", "MAX_ENTRIES_PER_TENANT": "-1"})

"""What the environment may say."""

import pytest

from plumbline_generation.settings import Settings
from plumbline_kit.settings import SettingsError


def test_every_default_works_on_the_local_platform() -> None:
    settings = Settings.from_env({})
    assert settings.llm_base_url == "http://127.0.0.1:7113/v1"
    assert (settings.service.port, settings.concurrent_completions, settings.record_seconds) == (7102, 4, 2.0)


def test_every_wrong_variable_is_named_at_once() -> None:
    with pytest.raises(SettingsError, match=r"CONCURRENT_COMPLETIONS is '0'.*RECORD_SECONDS is 'soon'"):
        Settings.from_env({"CONCURRENT_COMPLETIONS": "0", "RECORD_SECONDS": "soon"})


def test_the_key_is_never_shown() -> None:
    assert "secret" not in repr(Settings.from_env({"LLM_API_KEY": "secret"}))

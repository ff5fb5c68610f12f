"""What evaluation can be told."""

import pytest

from plumbline_evaluation.settings import Settings
from plumbline_kit.settings import SettingsError


def test_the_defaults_are_those_of_the_local_platform() -> None:
    settings = Settings.from_env({})
    assert (settings.service.port, settings.postgres_dsn) == (7104, "postgresql://postgres@127.0.0.1:7112/evaluation")


def test_every_wrong_variable_is_named_at_once() -> None:
    with pytest.raises(SettingsError) as wrong:
        Settings.from_env({"ENCODER_WORKERS": "0", "CONCURRENT_ANSWERS": "many"})
    assert "ENCODER_WORKERS is '0'" in str(wrong.value)
    assert "CONCURRENT_ANSWERS is 'many'" in str(wrong.value)

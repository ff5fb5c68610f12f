"""Env and ServiceSettings: what an environment may say, and what is said about a wrong one."""

from pathlib import Path

import pytest

from plumbline_kit.settings import Env, ServiceSettings, SettingsError


def test_every_default_fits_the_local_platform() -> None:
    settings = ServiceSettings.from_env(Env({}), "retrieval")
    assert (settings.host, settings.port, settings.kafka_bootstrap_servers) == ("127.0.0.1", 7101, "127.0.0.1:7110")
    assert (settings.auth_jwks, settings.log_level, settings.reflection) == (".plumbline/auth/jwks.json", "info", False)


def test_what_is_set_is_what_counts() -> None:
    env = Env({"PORT": "0", "LOG_LEVEL": "DEBUG", "GRPC_REFLECTION": "Yes", "RELEASE_FILE": "x.toml", "HOST": "::1"})
    settings = ServiceSettings.from_env(env, "cache")
    env.check()
    assert (settings.port, settings.log_level, settings.reflection) == (0, "debug", True)
    assert (settings.release_file, settings.host) == (Path("x.toml"), "::1")


def test_an_empty_variable_counts_as_not_set() -> None:
    assert ServiceSettings.from_env(Env({"PORT": "", "HOST": ""}), "cache").port == 7103


def test_all_problems_of_an_environment_are_told_at_once() -> None:
    env = Env({"PORT": "high", "DRAIN_SECONDS": "-1", "GRPC_REFLECTION": "maybe", "LOG_LEVEL": "loud"})
    ServiceSettings.from_env(env, "cache")
    with pytest.raises(SettingsError) as wrong:
        env.check()
    assert str(wrong.value).split("; ") == [
        "PORT is 'high', wanted is a whole number of at least 0",
        "LOG_LEVEL is 'loud', wanted is one of debug, info, warning, error, critical",
        "GRPC_REFLECTION is 'maybe', wanted is one of 1, true, yes, on, 0, false, no, off",
        "DRAIN_SECONDS is '-1', wanted is a number of at least 0",
    ]


@pytest.mark.parametrize("value", ["nan", "inf", "1e400", "one", "-0.1"])
def test_a_number_is_finite_and_not_negative(value: str) -> None:
    env = Env({"SECONDS": value})
    assert env.number("SECONDS", 2.0) == 2.0
    with pytest.raises(SettingsError, match=f"SECONDS is '{value}'"):
        env.check()


def test_a_whole_number_keeps_to_its_least() -> None:
    env = Env({"WORKERS": "0"})
    env.integer("WORKERS", 4, least=1)
    with pytest.raises(SettingsError, match="WORKERS is '0', wanted is a whole number of at least 1"):
        env.check()


def test_choices_are_words_with_commas_between_or_none() -> None:
    env = Env({"MANY": "red, Blue", "NONE": "none", "WRONG": "red,green"})
    colours = ("red", "blue")
    assert env.choices("MANY", (), colours) == ("red", "blue")
    assert env.choices("NONE", ("red",), colours) == ()
    assert env.choices("UNSET", ("red",), colours) == ("red",)
    env.choices("WRONG", (), colours)
    with pytest.raises(SettingsError, match="WRONG is 'red,green', wanted is none, or with commas between some of red"):
        env.check()

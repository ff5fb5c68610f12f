"""What every test may use: the real engines, started once per run."""

pytest_plugins = ["plumbline_local.pytest_plugin"]

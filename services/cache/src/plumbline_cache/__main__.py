"""Settings in, service up, until SIGTERM."""

from plumbline_cache.settings import Settings
from plumbline_cache.wiring import build_service
from plumbline_kit import logs, telemetry
from plumbline_kit.lifecycle import run_process


async def main() -> int:
    """The exit code."""
    settings = Settings.from_env()
    logs.configure("cache", settings.service.log_level)
    return await build_service(settings, telemetry.configure(settings.service)).run()


if __name__ == "__main__":
    run_process(main)

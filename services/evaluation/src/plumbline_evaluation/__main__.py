"""Settings in, service up, until SIGTERM."""

from plumbline_evaluation.settings import Settings
from plumbline_evaluation.wiring import build_service
from plumbline_kit import logs, telemetry
from plumbline_kit.lifecycle import run_process


async def main() -> int:
    """The exit code."""
    settings = Settings.from_env()
    logs.configure("evaluation", settings.service.log_level)
    service = await build_service(settings, telemetry.configure(settings.service))
    return await service.run()


if __name__ == "__main__":
    run_process(main)

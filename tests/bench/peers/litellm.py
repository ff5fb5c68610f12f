"""The LiteLLM proxy, one worker, in front of an endpoint; set as its page on production asks for."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import httpx
from rich.console import Console

from plumbline_kit.addresses import HOST
from tests.bench.peers.run import PLACE, NotRun, build

NAME: Final = "litellm"
KEY: Final = "sk-bench"
START_SECONDS: Final = 120.0
OFFLINE: Final = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # it fetches a list of prices otherwise
    "LITELLM_TELEMETRY": "False",
    "LITELLM_MODE": "PRODUCTION",
    "LITELLM_LOG": "ERROR",
}


@asynccontextmanager
async def serving(folder: Path, port: int, upstream: str, model: str, console: Console) -> AsyncIterator[int]:
    """The proxy on *port*, as long as the context lasts: its process id. Raises `NotRun`."""
    python = build(NAME, console)
    config, log = folder / "litellm.json", PLACE / f"{NAME}.log"
    config.write_text(json.dumps(_config(upstream, model)), encoding="utf-8")  # which is YAML too
    command = [python.with_name(NAME), "--config", config, "--host", HOST, "--port", str(port), "--num_workers", "1"]
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command, "--telemetry", "False", env=OFFLINE, stdout=output, stderr=output, start_new_session=True
        )
    try:
        await _ready(process, f"http://{HOST}:{port}/health/liveliness", log)
        yield process.pid
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def _config(upstream: str, model: str) -> dict[str, object]:
    asked = {"model": f"openai/{model}", "api_base": f"http://{upstream}/v1", "api_key": "none"}
    return {
        "model_list": [{"model_name": model, "litellm_params": asked}],
        "general_settings": {"master_key": KEY},
        "litellm_settings": {"telemetry": False, "num_retries": 0, "set_verbose": False},
    }


async def _ready(process: asyncio.subprocess.Process, url: str, log: Path) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(START_SECONDS), httpx.AsyncClient(trust_env=False) as client:
            while process.returncode is None:
                with suppress(httpx.TransportError):
                    if (await client.get(url)).is_success:
                        return
                await asyncio.sleep(0.25)
    raise NotRun(f"it does not serve within {START_SECONDS:.0f} s, see {log}")

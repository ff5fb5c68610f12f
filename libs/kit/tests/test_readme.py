"""The service in the README runs, answers who may ask, and stops when it is told to."""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest

from plumbline.cache.v1.cache_service_pb2 import GetStatsRequest
from plumbline.cache.v1.cache_service_pb2_grpc import CacheServiceStub
from plumbline_kit.rpc import open_channel
from plumbline_kit.testing import test_settings, token

README = Path(__file__).parents[1] / "README.md"


@pytest.fixture
def example(tmp_path: Path) -> Path:
    [code] = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    script = tmp_path / "example.py"
    script.write_text(code, encoding="utf-8")
    return script


@asynccontextmanager
async def running(script: Path, **variables: str) -> AsyncIterator[asyncio.subprocess.Process]:
    issuer = test_settings("cache")
    trusted = {"AUTH_JWKS": issuer.auth_jwks, "AUTH_ISSUER": issuer.auth_issuer, "AUTH_AUDIENCE": issuer.auth_audience}
    environment = {"PATH": os.defpath, "PORT": "0", **trusted, **variables}
    process = await asyncio.create_subprocess_exec(
        sys.executable, script, env=environment, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_the_example_runs_answers_and_stops(example: Path) -> None:
    async with running(example) as process:
        assert process.stderr is not None
        port = json.loads(await asyncio.wait_for(process.stderr.readline(), 20))["port"]
        async with open_channel(f"127.0.0.1:{port}", token=token()) as channel:
            assert (await CacheServiceStub(channel).GetStats(GetStatsRequest())).entry_count == 1
        async with open_channel(f"127.0.0.1:{port}", token=token(scopes="ask")) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await CacheServiceStub(channel).GetStats(GetStatsRequest())
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 20) == 0
    assert refused.value.code() == grpc.StatusCode.PERMISSION_DENIED


async def test_the_example_says_what_is_wrong_with_its_environment(example: Path) -> None:
    async with running(example, PORT="high") as process:
        _, errors = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 1
    assert errors.decode() == "PORT is 'high', wanted is a whole number of at least 0\n"

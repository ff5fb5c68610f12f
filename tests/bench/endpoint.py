"""The bare endpoint of `bench-generation`: a fake model in a process of its own, whose speed can be told."""

import asyncio

from plumbline_kit.testing.llm import AT_ONCE, FakeLLM
from tests.bench.questions import asked
from tests.bench.worker import serve


async def main() -> None:
    """Answer each speed (tokens a second; none is no delay) with the port, once it is set."""
    async with FakeLLM(script=lambda messages: asked(messages[-1]["content"])) as model:

        async def set_speed(tokens_per_second: float | None) -> int:
            model.tokens_per_second = tokens_per_second or AT_ONCE
            model.requests.clear()
            model.headers.clear()
            return model.port

        await serve(set_speed)


if __name__ == "__main__":
    asyncio.run(main())

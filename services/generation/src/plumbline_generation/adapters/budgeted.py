"""`LanguageModel` that takes what it writes out of a tenant's budget."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace

from plumbline_generation.adapters.purse import Purse
from plumbline_generation.domain.budget import LEAST_OUTPUT_TOKENS, Bill, PromptBound
from plumbline_generation.domain.prompt import Prompt
from plumbline_generation.ports import Finish, LanguageModel, Limits, ModelFailed
from plumbline_kit.clock import Clock

Count = Callable[[str], int]


class BudgetedModel:
    """One endpoint's model. Every call of it counts: the hedged one and the one that is made again too."""

    def __init__(
        self, model: LanguageModel, purse: Purse, *, max_output_tokens: int, count: Count, clock: Clock
    ) -> None:
        """*count* measures texts in tokens, as well as that can be known here."""
        self._model = model
        self._purse = purse
        self._max_output_tokens = max_output_tokens
        self._count = count
        self._clock = clock
        self._bound = PromptBound()

    def write(self, prompt: Prompt, limits: Limits) -> AsyncGenerator[str | Finish, None]:
        """See `LanguageModel`. Fails as over budget where too little is left."""
        if self._purse.bounds(limits.tenant):
            return self._write(prompt, limits)
        return self._model.write(prompt, limits)

    async def _write(self, prompt: Prompt, limits: Limits) -> AsyncGenerator[str | Finish, None]:
        began = self._clock.monotonic()
        bill = Bill(self._count(prompt.system) + self._count(prompt.user))
        bound = self._bound.of(bill.prompt_tokens)
        output = min(prompt.max_tokens or self._max_output_tokens, self._max_output_tokens)
        least, most = bound + min(LEAST_OUTPUT_TOKENS, output), bound + output
        taken = await self._purse.take(limits, least, most)
        if taken:
            prompt = replace(prompt, max_tokens=min(output, taken.tokens - bound))
        waited = self._clock.monotonic() - began
        limits = replace(limits, first_token=limits.first_token - waited, total=limits.total - waited)
        try:
            async with aclosing(self._model.write(prompt, limits)) as pieces:
                async for piece in pieces:
                    self._note(piece, bill)
                    yield piece
        except ModelFailed as error:
            bill.outcome = error.outcome
            raise
        finally:
            if taken:
                self._purse.settle(taken, bill.total(0 if bill.told or not bill.text else self._count(bill.text)))

    def _note(self, piece: str | Finish, bill: Bill) -> None:
        if isinstance(piece, Finish):
            bill.finish(piece.usage)
            self._bound.learn(bill.prompt_tokens, piece.usage.prompt_tokens)
        else:
            bill.text += piece

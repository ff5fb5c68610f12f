"""A model behind an OpenAI-compatible endpoint, asked once, whole."""

import time
from dataclasses import dataclass
from typing import Any

import httpx

from plumbline_cli.problems import Problem
from plumbline_prompts.template import Prompt


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model wrote, in how many seconds, and by its own count of how many tokens; 0 where it tells none."""

    text: str
    seconds: float
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the model is, and how it is asked."""

    url: str
    model: str
    api_key: str
    temperature: float
    max_tokens: int
    seconds: float
    """How long an answer may take."""

    def ask(self, prompt: Prompt, seed: int) -> Reply:
        """Raises `Problem` where no chat completion comes back."""
        messages = [{"role": "system", "content": prompt.system}, {"role": "user", "content": prompt.user}]
        body = {"model": self.model, "messages": messages, "temperature": self.temperature, "seed": seed}
        headers = {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}
        address = f"{self.url.rstrip('/')}/chat/completions"
        began = time.perf_counter()
        try:
            with httpx.Client(timeout=self.seconds, trust_env=False) as client:
                response = client.post(address, json=body | {"max_tokens": self.max_tokens}, headers=headers)
            return _reply(response.raise_for_status().json(), time.perf_counter() - began)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, IndexError, TypeError) as error:
            reason = str(error) or type(error).__name__
            raise Problem(f"{address} gave no chat completion ({reason}): is --endpoint right?") from error


def _reply(content: Any, seconds: float) -> Reply:
    usage = content.get("usage") or {}
    text = str(content["choices"][0]["message"]["content"] or "").strip()
    return Reply(text, seconds, int(usage.get("prompt_tokens", 0)), int(usage.get("completion_tokens", 0)))

"""`ChatOpenAI` that keeps the reasoning text. Importing this module costs seconds: import it where it is needed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.outputs import ChatResult
from langchain_openai import ChatOpenAI


class ReasoningChatOpenAI(ChatOpenAI):
    """Keeps `reasoning_content` (DeepSeek, vLLM, llama.cpp) or `reasoning` (Ollama, OpenRouter) of a reply.

    The base class drops them, because they are no part of OpenAI's protocol.
    """

    def _create_chat_result(self, response: Any, generation_info: dict[str, Any] | None = None) -> ChatResult:
        result = super()._create_chat_result(response, generation_info)
        data = response if isinstance(response, dict) else response.model_dump(warnings=False)
        for generation, choice in zip(result.generations, data["choices"], strict=True):
            reasoning = _reasoning(choice["message"])
            if reasoning:
                generation.message.additional_kwargs["reasoning_content"] = reasoning
        return result


def _reasoning(message: Mapping[str, Any]) -> str:
    for name in ("reasoning_content", "reasoning"):
        value = message.get(name)
        if isinstance(value, str) and value:
            return value
    return ""

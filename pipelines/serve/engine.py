"""Generates with Transformers' continuous batching: requests join and leave the batch at every token."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

import torch
from jinja2 import TemplateError
from tokenizers.decoders import DecodeStream
from transformers import AutoModelForCausalLM, AutoTokenizer, ContinuousBatchingConfig, GenerationConfig

from pipelines.errors import Refused
from pipelines.serve import sampling
from pipelines.serve.chat import prompt as chat_tokens
from pipelines.serve.protocol import Chat, Piece, Refusal
from pipelines.serve.settings import Settings
from pipelines.serve.words import Words

PAGE = 256  # tokens: what the KV cache is handed out by, and what prompts can share
STEP = 1024  # tokens of prompts that one step may read: a long one is read in parts, and others go on meanwhile


class Engine:
    """One checkpoint on one device. Needs a running event loop; raises Refused when the checkpoint cannot be run."""

    def __init__(self, settings: Settings) -> None:
        torch.set_num_threads(max(1, int(settings.num_cpus)))
        self._folder = Path(settings.model_source)
        self._tokenizer = self._loaded_tokenizer()
        self._model = self._loaded_model(settings)
        self.context = self._context(settings.max_model_len)
        self._ends = self._end_tokens()
        self._manager = self._started(settings.max_batch_size)
        self.running = 0
        """Requests that it is at."""

    def alive(self) -> bool:
        return bool(self._manager.is_running())

    def close(self) -> None:
        """Stop at once; what is still being generated fails."""
        self._manager.stop(hard_stop=True)

    async def answer(self, chat: Chat) -> AsyncGenerator[Piece | Refusal]:
        """Yield the answer in pieces (in one unless `chat.stream`), the last of which says why it ends; or a refusal.

        Generation stops when the iterator is closed. Raises RuntimeError when the device fails.
        """
        prompt = self._prompt(chat)
        if isinstance(prompt, Refusal):
            yield prompt
            return
        words, decoder, tokens = Words(chat.stop), DecodeStream([], skip_special_tokens=True), list[int]()
        decoded = unsaid = ""
        async with aclosing(self._generated(chat, prompt)) as outputs:
            async for output in outputs:
                text = ""
                for token in output.generated_tokens[len(tokens) :]:
                    tokens.append(token)
                    text += decoder.step(self._tokenizer.backend_tokenizer, token) or ""
                ended = output.is_finished()
                if ended:  # what the decoder still waits to complete: half a character, for instance
                    text += self._text(tokens).removeprefix(decoded + text)
                decoded += text
                unsaid += words.grow(text)
                if words.stopped or ended:
                    finish: Literal["stop", "length"] = (
                        "stop" if words.stopped or tokens[-1] in self._ends else "length"
                    )
                    yield Piece(unsaid + words.end(), len(prompt), len(tokens), finish)
                    return
                if unsaid and chat.stream:
                    yield Piece(unsaid, len(prompt), len(tokens))
                    unsaid = ""

    async def _generated(self, chat: Chat, prompt: list[int]) -> AsyncGenerator[Any]:
        """Yield what there is after every token, or only at the end when nobody looks at it before."""
        name, outputs = uuid4().hex, asyncio.Queue[Any]()
        self._manager.register_result_handler(name, outputs.put_nowait)
        self.running += 1
        try:
            room = self.context - len(prompt)
            taken = self._manager.add_request(
                prompt,
                request_id=name,
                max_new_tokens=min(chat.limit or room, room),
                streaming=chat.stream or bool(chat.stop),
                **sampling.settings(chat.temperature, chat.seed),
            )
            if not taken:
                raise RuntimeError("the engine has stopped")
            while True:
                output = await outputs.get()
                if output.error:
                    raise RuntimeError(output.error)
                yield output
                if output.is_finished():
                    return
        finally:
            self.running -= 1
            self._manager.cancel_request(name)  # of no effect on one that is finished
            self._manager.output_router.result_handlers.pop(name, None)  # else kept for what is cancelled

    def _prompt(self, chat: Chat) -> list[int] | Refusal:
        messages = [message.model_dump() for message in chat.messages]
        try:
            prompt = chat_tokens(self._tokenizer, messages)
        except TemplateError as error:  # the template's own words, about roles for instance
            return Refusal(400, f"these messages do not fit the model's chat template: {error}", "invalid_messages")
        if len(prompt) >= self.context:
            said = f"This model's maximum context length is {self.context} tokens. However, your messages"
            said += f" resulted in {len(prompt)} tokens. Please reduce the length of the messages."
            return Refusal(400, said, "context_length_exceeded", "messages")
        return prompt

    def _text(self, tokens: list[int]) -> str:
        text: str = self._tokenizer.backend_tokenizer.decode(tokens, skip_special_tokens=True)
        return text

    def _loaded_tokenizer(self) -> Any:
        try:
            tokenizer = AutoTokenizer.from_pretrained(self._folder, local_files_only=True)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Refused(f"{self._folder}: the tokenizer cannot be loaded: {_first(error)}") from None
        if not tokenizer.is_fast:
            raise Refused(f"{self._folder} holds no tokenizer.json: save its tokenizer with Transformers")
        if not tokenizer.chat_template:
            raise Refused(
                f"{self._folder} holds no chat template: add chat_template.jinja, as the model's maker has it"
            )
        return tokenizer

    def _loaded_model(self, settings: Settings) -> Any:
        try:
            model, report = AutoModelForCausalLM.from_pretrained(
                self._folder, dtype=settings.dtype, local_files_only=True, output_loading_info=True
            )
        except Exception as error:  # safetensors, torch and Transformers each have their own
            raise Refused(f"{self._folder}: the model cannot be loaded: {_first(error)}") from None
        wrong = sorted(map(str, [*report["missing_keys"], *report["mismatched_keys"]]))
        if wrong:  # Transformers would draw them at random and go on
            raise Refused(f"{self._folder}: {len(wrong)} weights are missing, {wrong[0]} for one: copy it anew")
        names = model.config.architectures or []
        if type(model).__name__ not in names:  # it would make another one of the same weights, and say nothing
            raise Refused(f"{self._folder} holds {', '.join(names)}, not a {type(model).__name__}: take another model")
        return model.to("cuda" if settings.num_gpus else "cpu").eval()

    def _context(self, wanted: int | None) -> int:
        most = int(self._model.config.get_text_config().max_position_embeddings)
        if wanted and wanted > most:
            raise Refused(f"max_model_len is {wanted}, but {self._folder} has seen {most} tokens at most: lower it")
        return wanted or most

    def _end_tokens(self) -> set[int]:
        told = self._model.generation_config.eos_token_id or self._tokenizer.eos_token_id
        ends = {told} if isinstance(told, int) else set(told or ())
        if not ends:
            raise Refused(f"{self._folder} does not say how an answer ends: set eos_token_id in generation_config.json")
        return ends

    def _started(self, batch: int) -> Any:
        config = ContinuousBatchingConfig(
            page_size=PAGE,
            num_blocks=batch * -(-self.context // PAGE),  # each request of a batch may fill the context
            max_batch_tokens=max(STEP, batch),
            max_requests_per_batch=batch,
            use_cuda_graph=False,  # a recorded graph would repeat the noise of its first draw
            use_async_batching=False,
        )
        greedy = GenerationConfig(do_sample=False, eos_token_id=sorted(self._ends))
        manager = self._model.init_continuous_batching(greedy, config)
        manager.logit_processor = sampling.processors()
        manager.start()
        return manager


def _first(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__

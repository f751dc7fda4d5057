"""Answers from a causal language model on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from jinja2 import TemplateError

from recross.checkpoints import pretrained
from recross.checkpoints.loaded import Model
from recross.checkpoints.location import CHECKPOINT
from recross.errors import InputError
from recross.inference.progress import progress
from recross.inference.runner import Runner
from recross.inference.spans import Ints
from recross.machine.hardware import Hardware
from recross.parts.bounds import Ge, checked
from recross.parts.identity import handed_over
from recross.records import Cost
from recross.rerankers.generative.generators import Conversation, Message

GREEDY = {
    "do_sample": False,
    "num_beams": 1,
    "temperature": None,
    "top_p": None,
    "top_k": None,
    "repetition_penalty": 1.0,  # some checkpoints set one, which forbids what a list is made of
}


@dataclass(frozen=True)
class Prompts:
    """Prompts as tokens, each to be answered with at most ``max_new_tokens``."""

    tokens: Sequence[list[int]]
    max_new_tokens: int

    @property
    def lengths(self) -> Ints:
        """Tokens of each prompt with its longest answer, ``(N,)``."""
        return np.array([len(ids) + self.max_new_tokens for ids in self.tokens], dtype=np.int64)

    def take(self, which: Ints) -> Prompts:
        """These prompts, in this order."""
        return Prompts([self.tokens[row] for row in which], self.max_new_tokens)


@dataclass(frozen=True)
@checked
class LocalGenerator:
    """A causal model by checkpoint, decoded greedily, in batches of prompts of similar length.

    Prompts are laid out by the tokenizer's chat template with ``chat_options`` (such as
    ``enable_thinking: false``), or one text after the other where it has none. ``weights`` is the
    precision in which weights are held. ``context_tokens`` bounds prompt and answer together;
    ``None``: what the model has positions for. Weights are loaded when first needed.
    """

    checkpoint: str = field(metadata=CHECKPOINT)
    weights: Literal["fp32", "bf16"] = "fp32"
    context_tokens: Annotated[int, Ge(2)] | None = None
    chat_options: Mapping[str, bool | int | str] = field(default_factory=dict)
    hardware: Hardware = handed_over(Hardware())

    @property
    def name(self) -> str:
        """The last part of the checkpoint's path or identifier."""
        return Path(self.checkpoint).name

    @property
    def network(self) -> Model:
        """The model, loaded on first use.

        Raises:
            InputError: there is no such checkpoint, it lacks weights or a tokenizer, or it is no
                causal language model.
        """
        return self._loaded.model

    @property
    def parameters(self) -> int:
        """How many parameters the model has."""
        return sum(int(parameter.numel()) for parameter in self.network.parameters())

    def fits(self, conversation: Conversation, max_new_tokens: int) -> bool:
        """Whether prompt and answer are within the context."""
        room = self.context_tokens
        if room is None:
            room = getattr(self.network.config, "max_position_embeddings", None)
        return room is None or len(self._encode(conversation)) + max_new_tokens <= room

    def generate(
        self, conversations: Sequence[Conversation], max_new_tokens: int
    ) -> tuple[list[str], Cost]:
        """Answer each conversation with its most probable tokens."""
        start = time.perf_counter()
        prompts = [self._encode(conversation) for conversation in conversations]
        sequences = Prompts(prompts, max_new_tokens)
        tokenized = time.perf_counter()
        answers: list[list[int]] = [[]] * len(prompts)
        padding, batches = 0, 0
        with progress(len(prompts), self.name, "answer") as bar:
            for rows, texts in self._runner.run(sequences):
                for row, answer in zip(rows, texts, strict=True):
                    answers[row] = answer
                sizes = [len(prompts[row]) for row in rows]
                padding += max(sizes) * len(sizes) - sum(sizes)
                batches += 1
                bar.update(len(rows))
        decode = self._loaded.tokenizer.decode
        return [decode(answer, skip_special_tokens=True) for answer in answers], Cost(
            tokens=sum(map(len, prompts)),
            padding_tokens=padding,
            forward_passes=len(prompts),
            batches=batches,
            tokenize_seconds=tokenized - start,
            forward_seconds=time.perf_counter() - tokenized,
            requests=len(prompts),
            generated_tokens=sum(map(len, answers)),
        )

    @cached_property
    def _loaded(self) -> pretrained.Pretrained:
        dtype = torch.bfloat16 if self.weights == "bf16" else torch.float32
        loaded = pretrained.load("causal_lm", self.checkpoint, dtype=dtype)
        if loaded.config.is_encoder_decoder:
            raise InputError(
                f"checkpoint must be a causal language model, got {self.checkpoint!r},"
                f" which is {loaded.config.model_type}"
            )
        loaded.model.to(self.hardware.device)
        return loaded

    def _encode(self, conversation: Conversation) -> list[int]:
        tokenizer = self._loaded.tokenizer
        if not tokenizer.chat_template:
            text = "".join(f"{message['content']}\n" for message in conversation)
        elif self._takes_system_messages:
            text = self._lay_out(conversation)
        else:
            text = self._lay_out(_fold_system(conversation))
        ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
        # Some templates write the first token themselves, others leave it to the tokenizer.
        first = tokenizer("a")["input_ids"][:1]
        wants_it = first == [tokenizer.bos_token_id] and ids[:1] != first
        return [*first, *ids] if wants_it else ids

    @cached_property
    def _takes_system_messages(self) -> bool:
        probe = [Message(role="system", content="s"), Message(role="user", content="u")]
        try:
            self._lay_out(probe)
        except TemplateError:
            return False
        return True

    def _lay_out(self, conversation: Conversation) -> str:
        text: str = self._loaded.tokenizer.apply_chat_template(
            list(conversation), tokenize=False, add_generation_prompt=True, **self.chat_options
        )
        return text

    @cached_property
    def _runner(self) -> Runner[Prompts, list[list[int]]]:
        return Runner(self.hardware, self.network, self._answering_on_one_device)

    def _answering_on_one_device(
        self, model: Model
    ) -> Callable[[Prompts], Callable[[], list[list[int]]]]:
        there = model.to(self.hardware.device)

        def answer(batch: Prompts) -> Callable[[], list[list[int]]]:
            answered = self._answer(there, batch)
            return lambda: answered

        return answer

    def _answer(self, model: Model, batch: Prompts) -> list[list[int]]:
        """Tokens that a batch of prompts is answered with, without the end's own."""
        prompts, tokenizer, device = batch.tokens, self._loaded.tokenizer, self.hardware.device
        ends = model.generation_config.eos_token_id
        ends = set(ends if isinstance(ends, list) else [ends])
        padding = tokenizer.pad_token_id
        if padding is None:
            padding = tokenizer.eos_token_id or 0
        longest = max(map(len, prompts))
        tokens = torch.full((len(prompts), longest), padding)  # (B, L), padded on the left
        mask = torch.zeros_like(tokens)
        for row, prompt in enumerate(prompts):
            tokens[row, longest - len(prompt) :] = torch.tensor(prompt)
            mask[row, longest - len(prompt) :] = 1
        dtype = self.hardware.dtype
        mixed = torch.autocast(device.type, dtype, enabled=dtype != torch.float32)
        with torch.inference_mode(), mixed:
            written = model.generate(
                input_ids=tokens.to(device),
                attention_mask=mask.to(device),
                max_new_tokens=batch.max_new_tokens,
                pad_token_id=padding,
                **GREEDY,
            )
        return [_until(row, ends) for row in written[:, longest:].tolist()]


def _until(tokens: list[int], ends: set[int | None]) -> list[int]:
    stop = next((number for number, token in enumerate(tokens) if token in ends), len(tokens))
    return tokens[:stop]


def _fold_system(conversation: Conversation) -> Conversation:
    """The same with what the system said put before the user's first words."""
    system = [message["content"] for message in conversation if message["role"] == "system"]
    first, *others = (message for message in conversation if message["role"] != "system")
    return [Message(role="user", content="\n\n".join([*system, first["content"]])), *others]

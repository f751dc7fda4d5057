"""Answers from a causal language model on this machine."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jinja2 import TemplateError

from recross.checkpoints import pretrained
from recross.errors import InputError
from recross.inference.batches import token_budget
from recross.inference.tokens import Ints
from recross.machine.hardware import Hardware
from recross.parts.identity import READ, handed_over
from recross.records import Cost
from recross.rerankers.generative.generators import Conversation, Message, progress

GREEDY = {
    "do_sample": False,
    "num_beams": 1,
    "temperature": None,
    "top_p": None,
    "top_k": None,
    "repetition_penalty": 1.0,  # some checkpoints set one, which forbids what a list is made of
}


@dataclass(frozen=True)
class LocalGenerator:
    """A causal model by checkpoint, decoded greedily, in batches of prompts of similar length.

    Prompts are laid out by the tokenizer's chat template with ``chat_options`` (such as
    ``enable_thinking: false``), or one text after the other where it has none. ``weights`` is the
    precision in which weights are held. ``context_tokens`` bounds prompt and answer together;
    ``None``: what the model has positions for. Weights are loaded when first needed.
    """

    checkpoint: str = field(metadata=READ)
    weights: Literal["fp32", "bf16"] = "fp32"
    context_tokens: int | None = None
    chat_options: Mapping[str, bool | int | str] = field(default_factory=dict)
    hardware: Hardware = handed_over(Hardware())

    def __post_init__(self) -> None:
        if self.context_tokens is not None and self.context_tokens < 2:
            raise InputError(f"context_tokens must be at least 2, got {self.context_tokens}")

    @property
    def name(self) -> str:
        """The checkpoint's own name."""
        return Path(self.checkpoint).name

    @property
    def network(self) -> Any:
        """The model, loaded on first use.

        Raises:
            InputError: there is no such checkpoint, it lacks weights or a tokenizer, or it is no
                causal language model.
        """
        return self._loaded.model

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
        self.hardware.prepare()
        start = time.perf_counter()
        prompts = [self._encode(conversation) for conversation in conversations]
        lengths = np.array([len(prompt) + max_new_tokens for prompt in prompts], dtype=np.int64)
        tokenized = time.perf_counter()
        answers: list[list[int]] = [[]] * len(prompts)
        padding, batches = 0, 0
        with progress(len(prompts), self.name, "answer") as bar:
            for which in token_budget(lengths, self.hardware.batch_tokens):
                for rows, found in self._fitting(prompts, which, max_new_tokens):
                    for row, answer in zip(rows, found, strict=True):
                        answers[row] = answer
                    own = [len(prompts[row]) for row in rows]
                    padding += max(own) * len(own) - sum(own)
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
        found = pretrained.load("causal_lm", self.checkpoint, dtype=dtype)
        if found.config.is_encoder_decoder:
            raise InputError(
                f"checkpoint must be a causal language model, got {self.checkpoint!r},"
                f" which is {found.config.model_type}"
            )
        found.model.to(self.hardware.device)
        return found

    def _encode(self, conversation: Conversation) -> list[int]:
        tokenizer = self._loaded.tokenizer
        if not tokenizer.chat_template:
            text = "".join(f"{message['content']}\n" for message in conversation)
        elif self._takes_system_messages:
            text = self._laid_out(conversation)
        else:
            text = self._laid_out(_without_system(conversation))
        ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
        # Some templates write the first token themselves, others leave it to the tokenizer.
        first = tokenizer("a")["input_ids"][:1]
        wants_it = first == [tokenizer.bos_token_id] and ids[:1] != first
        return [*first, *ids] if wants_it else ids

    @cached_property
    def _takes_system_messages(self) -> bool:
        probe = [Message(role="system", content="s"), Message(role="user", content="u")]
        try:
            self._laid_out(probe)
        except TemplateError:
            return False
        return True

    def _laid_out(self, conversation: Conversation) -> str:
        text: str = self._loaded.tokenizer.apply_chat_template(
            list(conversation), tokenize=False, add_generation_prompt=True, **self.chat_options
        )
        return text

    def _fitting(
        self, prompts: Sequence[list[int]], which: Ints, max_new_tokens: int
    ) -> Iterator[tuple[Ints, list[list[int]]]]:
        """Answers of a batch, which is halved until it fits in memory."""
        try:
            yield which, self._answer([prompts[row] for row in which], max_new_tokens)
        except torch.OutOfMemoryError:
            if len(which) == 1:
                raise
            torch.cuda.empty_cache()
            for half in np.array_split(which, 2):
                yield from self._fitting(prompts, half, max_new_tokens)

    def _answer(self, prompts: Sequence[list[int]], max_new_tokens: int) -> list[list[int]]:
        """Tokens that a batch of prompts is answered with, without the end's own."""
        model, tokenizer, device = self.network, self._loaded.tokenizer, self.hardware.device
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
                max_new_tokens=max_new_tokens,
                pad_token_id=padding,
                **GREEDY,
            )
        return [_until(row, ends) for row in written[:, longest:].tolist()]


def _until(tokens: list[int], ends: set[int | None]) -> list[int]:
    stop = next((place for place, token in enumerate(tokens) if token in ends), len(tokens))
    return tokens[:stop]


def _without_system(conversation: Conversation) -> Conversation:
    """The same with what the system said put before the user's first words."""
    said = [message["content"] for message in conversation if message["role"] == "system"]
    first, *others = (message for message in conversation if message["role"] != "system")
    return [Message(role="user", content="\n\n".join([*said, first["content"]])), *others]

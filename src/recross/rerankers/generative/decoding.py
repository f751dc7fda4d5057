"""What a causal model on this machine does with a batch of prompts: goes on, or is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from recross.checkpoints.heads import pick_rows, reading
from recross.checkpoints.loaded import Model, Tokenizer
from recross.inference.runner import Runner
from recross.inference.spans import Ints
from recross.machine.hardware import Hardware

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
    """Prompts as tokens, each answered with at most ``max_new_tokens``, up to the text ``stop``.

    With ``labels``, tokens of the vocabulary, nothing is written: their logits are read.
    """

    tokens: Sequence[list[int]]
    max_new_tokens: int
    stop: str | None = None
    labels: tuple[int, ...] = ()

    @property
    def lengths(self) -> Ints:
        """Tokens of each prompt with its longest answer, ``(N,)``."""
        return np.array([len(ids) + self.max_new_tokens for ids in self.tokens], dtype=np.int64)

    def take(self, which: Ints) -> Prompts:
        """These prompts, in this order."""
        return replace(self, tokens=[self.tokens[row] for row in which])

    def pad(self, padding: int, on_the_left: bool) -> tuple[Tensor, Tensor]:
        """Prompts side by side, and which of their tokens are real, both ``(B, L)``."""
        longest = max(map(len, self.tokens))
        tokens = torch.full((len(self.tokens), longest), padding)
        mask = torch.zeros_like(tokens)
        for row, prompt in enumerate(self.tokens):
            place = slice(longest - len(prompt), None) if on_the_left else slice(len(prompt))
            tokens[row, place] = torch.tensor(prompt)
            mask[row, place] = 1
        return tokens, mask


class Decoder:
    """A model with its tokenizer on the devices of a hardware target, decoding greedily."""

    def __init__(self, model: Model, tokenizer: Tokenizer, hardware: Hardware) -> None:
        self._tokenizer = tokenizer
        self._hardware = hardware
        self._ends = _list_ends(model)
        padding = tokenizer.pad_token_id
        self._padding = (tokenizer.eos_token_id or 0) if padding is None else padding
        self._runner: Runner[Prompts, Tensor] = Runner(hardware, model, self._answer_on_one_device)

    def run(self, prompts: Prompts) -> Iterator[tuple[Ints, Tensor]]:
        """Yield rows of prompts and what they are answered with: tokens, or logits of labels."""
        return self._runner.run(prompts)

    def cut(self, written: Tensor, stop: str | None) -> list[list[int]]:
        """Tokens of answers ``(B, L)`` up to each answer's end, without the end's own."""
        ends = self._ends | ({self._padding} if stop else set())
        return [_until(row, ends) for row in written.tolist()]

    def _answer_on_one_device(self, model: Model) -> Callable[[Prompts], Callable[[], Tensor]]:
        there = model.to(self._hardware.device)

        def answer(batch: Prompts) -> Callable[[], Tensor]:
            device, dtype = self._hardware.device, self._hardware.dtype
            mixed = torch.autocast(device.type, dtype, enabled=dtype != torch.float32)
            with torch.inference_mode(), mixed:
                answered = (self._read if batch.labels else self._write)(there, batch)
            return lambda: answered

        return answer

    def _write(self, model: Model, batch: Prompts) -> Tensor:
        """Tokens that a batch of prompts is answered with, filled up, ``(B, L)``."""
        tokens, mask = batch.pad(self._padding, on_the_left=True)
        stopping = {"stop_strings": [batch.stop], "tokenizer": self._tokenizer}
        written: Tensor = model.generate(
            input_ids=tokens.to(self._hardware.device),
            attention_mask=mask.to(self._hardware.device),
            max_new_tokens=batch.max_new_tokens,
            pad_token_id=self._padding,
            **GREEDY,
            **(stopping if batch.stop else {}),
        )
        return written[:, tokens.shape[1] :]

    def _read(self, model: Model, batch: Prompts) -> Tensor:
        """Logits of the labels after each prompt, ``(B, C)``, of one forward pass."""
        # padded on the right, where no token looks
        tokens, mask = (one.to(self._hardware.device) for one in batch.pad(self._padding, False))
        labels = torch.tensor(batch.labels, device=tokens.device)
        row = torch.arange(len(tokens), device=tokens.device)
        with reading(labels):
            logits = model(input_ids=tokens, attention_mask=mask, use_cache=False).logits
        return pick_rows(model, logits[row, mask.sum(dim=1) - 1], labels).float().cpu()


def _list_ends(model: Model) -> set[int | None]:
    ends = model.generation_config.eos_token_id
    return set(ends if isinstance(ends, list) else [ends])


def _until(tokens: list[int], ends: set[int | None]) -> list[int]:
    stop = next((number for number, token in enumerate(tokens) if token in ends), len(tokens))
    return tokens[:stop]

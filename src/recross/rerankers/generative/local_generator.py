"""Answers from a causal language model on this machine."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import numpy as np

from recross.checkpoints.location import CHECKPOINT
from recross.errors import InputError
from recross.inference.cache.score_cache import caches_are_off
from recross.inference.spans import Ints
from recross.machine.hardware import Hardware
from recross.parts.bounds import Ge, checked
from recross.parts.identity import fingerprint, handed_over
from recross.records import Cost
from recross.rerankers.generative.generators import Conversation, LabelLogits, split_begun
from recross.rerankers.generative.kept_answers import KeptAnswer, KeptAnswers
from recross.store import DEFAULT_STORE
from recross.writing.progress import progress

if TYPE_CHECKING:
    from torch import Tensor

    from recross.checkpoints import pretrained
    from recross.checkpoints.loaded import Model, ModelConfig
    from recross.rerankers.generative.chat_layout import ChatLayout
    from recross.rerankers.generative.decoding import Decoder, Prompts


@dataclass(frozen=True)
@checked
class LocalGenerator:
    """A causal model by checkpoint, decoded greedily, in batches of prompts of similar length.

    Prompts are laid out by the tokenizer's chat template with ``chat_options`` (such as
    ``enable_thinking: false``), or one text after the other where it has none or without
    ``uses_chat_template``. ``weights`` is the precision in which weights are held.
    ``context_tokens`` bounds prompt and answer together; ``None``: what the model has positions
    for. With ``reuse_answers`` every batch's answers are kept in the store, by weights, precision
    and prompt, so that a run that was interrupted goes on after them; none is read while latency is
    measured. Weights are loaded when first needed.
    """

    checkpoint: str = field(metadata=CHECKPOINT)
    weights: Literal["fp32", "bf16"] = "fp32"
    context_tokens: Annotated[int, Ge(2)] | None = None
    chat_options: Mapping[str, bool | int | str] = field(default_factory=dict)
    uses_chat_template: bool = True
    reuse_answers: bool = field(default=False, compare=False)
    hardware: Hardware = handed_over(Hardware())
    store: Path = handed_over(DEFAULT_STORE)

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

    def check(self) -> None:
        """Look at all but the weights, for which there may be room only once others are done.

        Raises:
            InputError: there is no such checkpoint, it lacks weights or a tokenizer, or it is no
                causal language model.
        """
        from recross.checkpoints import pretrained, source
        from recross.checkpoints.module_folder import read_modules

        place = source.find_source(self.checkpoint, read_modules(self.checkpoint))
        config = source.find_config(place)
        self._check_kind(config)
        pretrained.check_weight_files(place, config)
        source.load_tokenizer(self.checkpoint)

    def quote(self, text: str) -> str:
        """The text with the strings of control tokens kept apart, until the prompt is tokens."""
        return self._layout.quote(text)

    def fits(self, conversation: Conversation, max_new_tokens: int) -> bool:
        """Whether prompt and answer are within the context."""
        room = self.context_tokens
        if room is None:
            room = getattr(self.network.config, "max_position_embeddings", None)
        return room is None or len(self._layout.encode(conversation)) + max_new_tokens <= room

    def generate(
        self, conversations: Sequence[Conversation], max_new_tokens: int, stop: str | None = None
    ) -> tuple[list[str], Cost]:
        """Answer each conversation with its most probable tokens, unless the answer is kept."""
        from recross.rerankers.generative.decoding import Prompts

        start = time.perf_counter()
        prompts = [self._layout.encode(conversation) for conversation in conversations]
        keys, answers = self._recall(prompts, max_new_tokens, stop)
        due = [row for row, answer in enumerate(answers) if answer is None]
        asked = Prompts([prompts[row] for row in due], max_new_tokens, stop)
        tokenized, batches = time.perf_counter(), list[Ints]()
        for rows, written in self._run(asked):
            batches.append(rows)
            for number, tokens in zip(rows, self._decoder.cut(written, stop), strict=True):
                row = due[number]
                answers[row] = self._finish(prompts[row], tokens, keys[row])
        done = [answer for answer in answers if answer is not None]
        cost = _count(asked, batches, start, tokenized)
        cost = replace(
            cost,
            kept_tokens=sum(map(len, prompts)) - cost.tokens,
            generated_tokens=sum(done[row].generated_tokens or 0 for row in due),
            cache_hits=len(done) - len(due),
            cache_misses=len(due) if self.reuse_answers else 0,
        )
        return [answer.text for answer in done], cost

    def read_labels(
        self, conversations: Sequence[Conversation], labels: Sequence[str]
    ) -> tuple[LabelLogits, Cost]:
        """Logits of each label's first token after each conversation, of one forward pass.

        Raises:
            InputError: two labels begin with the same token.
        """
        from recross.rerankers.generative.decoding import Prompts

        start = time.perf_counter()
        prompts = [self._layout.encode(conversation) for conversation in conversations]
        begun = split_begun(conversations[0])[1] if conversations else ""
        tokens = tuple(self._layout.find_label(begun, label) for label in labels)
        if len(set(tokens)) < len(tokens):
            raise InputError(
                f"labels must begin with tokens that differ, got {list(labels)} for {self.name}"
            )
        asked = Prompts(prompts, 1, labels=tokens)
        tokenized, batches = time.perf_counter(), list[Ints]()
        logits = np.zeros((len(prompts), len(labels)))
        for rows, read in self._run(asked):
            batches.append(rows)
            logits[rows] = read.numpy()
        return logits, _count(asked, batches, start, tokenized)

    @cached_property
    def _loaded(self) -> pretrained.Pretrained:
        import torch

        from recross.checkpoints import pretrained
        from recross.checkpoints.heads import make_heads_exact

        dtype = torch.bfloat16 if self.weights == "bf16" else torch.float32
        loaded = pretrained.load("causal_lm", self.checkpoint, dtype=dtype)
        self._check_kind(loaded.config)
        make_heads_exact(loaded.model, ())
        loaded.model.to(self.hardware.device)
        return loaded

    def _check_kind(self, config: ModelConfig) -> None:
        if config.is_encoder_decoder:
            raise InputError(
                f"checkpoint must be a causal language model, got {self.checkpoint!r},"
                f" which is {config.model_type}"
            )

    @cached_property
    def _layout(self) -> ChatLayout:
        from recross.rerankers.generative.chat_layout import ChatLayout

        return ChatLayout(
            self._loaded.tokenizer, self.chat_options, plain=not self.uses_chat_template
        )

    @cached_property
    def _decoder(self) -> Decoder:
        from recross.rerankers.generative.decoding import Decoder

        return Decoder(self.network, self._loaded.tokenizer, self.hardware)

    @cached_property
    def _kept(self) -> KeptAnswers:
        from torch import nn

        from recross.inference.cache.identity import digest_weights

        name = fingerprint(
            digest_weights(cast(nn.Module, self.network)), self.weights, self.hardware.identity
        )
        return KeptAnswers(self.store / "answers" / f"{name}.jsonl")

    def _finish(self, prompt: list[int], written: list[int], key: str) -> KeptAnswer:
        text = self._loaded.tokenizer.decode(written, skip_special_tokens=True)
        answer = KeptAnswer(text, len(prompt), len(written))
        if self.reuse_answers:
            self._kept.add(key, answer)
        return answer

    def _recall(
        self, prompts: Sequence[list[int]], max_new_tokens: int, stop: str | None
    ) -> tuple[list[str], list[KeptAnswer | None]]:
        """Keys to keep answers by, and the answers that are kept."""
        if not self.reuse_answers:
            return [""] * len(prompts), [None] * len(prompts)
        keys = [fingerprint(prompt, max_new_tokens, stop) for prompt in prompts]
        return keys, [None if caches_are_off() else self._kept.get(key) for key in keys]

    def _run(self, prompts: Prompts) -> Iterator[tuple[Ints, Tensor]]:
        with progress(len(prompts.tokens), self.name, "answer") as bar:
            for rows, said in self._decoder.run(prompts):
                yield rows, said
                bar.update(len(rows))


def _count(prompts: Prompts, batches: Sequence[Ints], start: float, tokenized: float) -> Cost:
    """What prompts cost that ran in these batches, up to now."""
    sizes = [[len(prompts.tokens[row]) for row in rows] for rows in batches]
    return Cost(
        tokens=sum(map(len, prompts.tokens)),
        padding_tokens=sum(max(of_batch) * len(of_batch) - sum(of_batch) for of_batch in sizes),
        forward_passes=len(prompts.tokens),
        batches=len(batches),
        tokenize_seconds=tokenized - start,
        forward_seconds=time.perf_counter() - tokenized,
        requests=len(prompts.tokens),
    )

"""What is loaded beside a model, as far as it is used here: its tokenizer and its configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol


class Tokenizer(Protocol):
    """A tokenizer of transformers."""

    model_max_length: int
    cls_token_id: int
    sep_token_id: int
    mask_token_id: int
    bos_token_id: int | None
    eos_token_id: int | None
    pad_token_id: int | None
    chat_template: str | None
    backend_tokenizer: Any

    def __call__(
        self, text: str | Sequence[str], text_pair: str | None = None, **options: Any
    ) -> Mapping[str, Any]:
        """Tokenise one text, a pair of texts, or several texts."""

    def tokenize(self, text: str) -> list[str]:
        """Return the pieces of a text."""

    def get_vocab(self) -> dict[str, int]:
        """Return the number of every piece."""

    def decode(self, token_ids: Sequence[int], **options: Any) -> str:
        """Return the text of tokens."""

    def apply_chat_template(self, conversation: Sequence[Any], **options: Any) -> Any:
        """Lay out a conversation as the model was trained on it."""

    def save_pretrained(self, folder: Path) -> Any:
        """Write the tokenizer's files into a folder."""


class ModelConfig(Protocol):
    """A configuration of transformers: the family's name, and the family's own settings."""

    model_type: str
    num_hidden_layers: int

    def to_dict(self) -> dict[str, Any]:
        """Return all settings by name."""

    def __getattr__(self, name: str) -> Any:
        """Return a setting of the model's family."""

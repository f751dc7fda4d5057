"""What is loaded of a checkpoint, as far as it is used here: model, configuration, tokenizer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, overload

from recross.records import JsonObject

if TYPE_CHECKING:
    from torch import Tensor


class Encoding(Protocol):
    """The tokens of a text, and which of its characters each of them stands for."""

    ids: list[int]
    offsets: list[tuple[int, int]]


class FastTokenizer(Protocol):
    """The tokenizer in Rust beneath one of transformers, where there is one."""

    def no_truncation(self) -> None:
        """Cut nothing from now on."""

    def no_padding(self) -> None:
        """Fill nothing up from now on."""

    def encode_batch(self, texts: list[str], *, add_special_tokens: bool) -> list[Encoding]:
        """Tokenise texts; every one gives its tokens and where they stand in it."""

    def encode_batch_fast(self, texts: list[str], *, add_special_tokens: bool) -> list[Encoding]:
        """Tokenise texts; offsets are not to be read."""

    def to_str(self) -> str:
        """Return all that it is, as JSON."""

    def from_str(self, json: str) -> FastTokenizer:
        """Make another one of all that it is."""

    def token_to_id(self, token: str) -> int | None:
        """Return the number of a piece; ``None`` where there is none."""


def find_fast_tokenizer(tokenizer: Tokenizer) -> FastTokenizer | None:
    """The tokenizer in Rust beneath one of transformers; ``None`` where all is Python."""
    fast: FastTokenizer | None = getattr(tokenizer, "backend_tokenizer", None)
    return fast


class Tokenizer(Protocol):
    """What is used of a tokenizer of transformers: special tokens, pieces, saving."""

    model_max_length: int
    cls_token_id: int
    sep_token_id: int
    mask_token_id: int
    bos_token_id: int | None
    eos_token_id: int | None
    pad_token_id: int | None
    chat_template: str | None
    backend_tokenizer: FastTokenizer
    init_kwargs: dict[str, object]

    @overload
    def __call__(
        self, text: str, text_pair: str | None = None, **options: object
    ) -> Mapping[str, list[int]]: ...

    @overload
    def __call__(self, text: list[str], **options: object) -> Mapping[str, list[list[int]]]: ...

    def __len__(self) -> int:
        """Count all pieces, those that were added included."""

    def tokenize(self, text: str) -> list[str]:
        """Return the pieces of a text."""

    def get_added_vocab(self) -> dict[str, int]:
        """Return the number of every piece that was added to those of the model."""

    def get_vocab(self) -> dict[str, int]:
        """Return the number of every piece."""

    def decode(self, token_ids: Sequence[int], **options: object) -> str:
        """Return the text of tokens."""

    def apply_chat_template(self, conversation: Sequence[JsonObject], **options: object) -> str:
        """Lay out a conversation as the model was trained on it."""

    def add_tokens(self, tokens: list[str], *, special_tokens: bool = False) -> int:
        """Let pieces be found in texts as a whole; those that are new get a number."""

    def save_pretrained(self, folder: Path) -> object:
        """Write the tokenizer's files into a folder."""


class ModelConfig(Protocol):
    """A configuration of transformers: the family's name, and the family's own settings."""

    model_type: str
    num_hidden_layers: int
    num_labels: int

    def to_dict(self) -> JsonObject:
        """Return all settings by name."""

    def __getattr__(self, name: str) -> Any:
        """Return a setting of the model's family."""

    def __setattr__(self, name: str, value: object) -> None:
        """Change a setting, or add one."""


class LoadedModule(Protocol):
    """A module of transformers; its parts are read by the family that knows their names."""

    def __call__(self, *inputs: Tensor, **named: Tensor | bool | None) -> Any:
        """Compute what the module computes."""

    def __getattr__(self, name: str) -> Any:
        """Return a part, a weight or a method by its name."""


class Model(LoadedModule, Protocol):
    """A whole model of transformers: a module with its configuration."""

    config: ModelConfig

"""How a conversation becomes the tokens that a model on this machine reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from jinja2 import TemplateError

from recross.checkpoints.loaded import Tokenizer
from recross.errors import InputError
from recross.inference.texts.control_tokens import TextTokenizer, find_text_tokenizer
from recross.rerankers.generative.generators import Conversation, Message, split_begun


@dataclass(frozen=True)
class ChatLayout:
    """Conversations as tokens: by the tokenizer's chat template, or one text after the other.

    ``plain`` leaves the template unused, for models that were trained without one. Control tokens
    are such in the template and in what a prompt says itself, never in a quoted text.
    """

    tokenizer: Tokenizer
    options: Mapping[str, bool | int | str]
    plain: bool

    def __post_init__(self) -> None:
        if find_text_tokenizer(self.tokenizer) is None:
            raise InputError(
                "tokenizer of a model that writes must be a fast one (tokenizer.json), got"
                f" {type(self.tokenizer).__name__}"
            )

    def quote(self, text: str) -> str:
        """A text to put into a conversation, all of which is read as text."""
        return self._texts.guard(text)

    def encode(self, conversation: Conversation) -> list[int]:
        """Tokens of a conversation, up to where the model goes on."""
        asked, begun = split_begun(conversation)
        tokenizer = self.tokenizer
        if self.plain or not tokenizer.chat_template:
            text = "".join(f"{message['content']}\n" for message in asked)
        elif self._takes_system_messages:
            text = self._lay_out(asked)
        else:
            text = self._lay_out(_fold_system(asked))
        ids = self._ids(text + begun)
        # Some templates write the first token themselves, others leave it to the tokenizer.
        first = tokenizer("a")["input_ids"][:1]
        wants_it = first == [tokenizer.bos_token_id] and ids[:1] != first
        return [*first, *ids] if wants_it else ids

    def find_label(self, begun: str, label: str) -> int:
        """The first token of a label that goes on from an answer that was begun.

        It is read beside the last word of what was begun, as vocabularies write the same letter in
        another way within a word; where the two are one token, by itself.

        Raises:
            InputError: the label has no token.
        """
        before = self._ids(begun)
        together = self._ids(begun + label)
        goes_on = len(together) > len(before) and together[: len(before)] == before
        tokens = together[len(before) :] if goes_on else self._ids(label)
        if not tokens:
            raise InputError(f"labels must be words of the tokenizer, got {label!r}")
        return tokens[0]

    def _ids(self, text: str) -> list[int]:
        return self._texts.encode_guarded(text)

    @property
    def _texts(self) -> TextTokenizer:
        found = find_text_tokenizer(self.tokenizer)
        assert found is not None  # checked when this was made
        return found

    @cached_property
    def _takes_system_messages(self) -> bool:
        probe = [Message(role="system", content="s"), Message(role="user", content="u")]
        try:
            self._lay_out(probe)
        except TemplateError:
            return False
        return True

    def _lay_out(self, conversation: Conversation) -> str:
        text: str = self.tokenizer.apply_chat_template(
            list(conversation), tokenize=False, add_generation_prompt=True, **self.options
        )
        return text


def _fold_system(conversation: Conversation) -> Conversation:
    """The same with what the system said put before the user's first words."""
    system = [message["content"] for message in conversation if message["role"] == "system"]
    first, *others = (message for message in conversation if message["role"] != "system")
    return [Message(role="user", content="\n\n".join([*system, first["content"]])), *others]

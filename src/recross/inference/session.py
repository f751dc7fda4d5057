"""Where parts run and where things are kept: handed over to them, never configured twice."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from recross.inference.cache.score_cache import ScoreCache
from recross.machine.hardware import Hardware
from recross.parts.fields import read_field_values
from recross.parts.identity import is_handed_over
from recross.parts.rebuilding import rebuild
from recross.store import DEFAULT_STORE

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_Part = TypeVar("_Part")


@dataclass(frozen=True)
class Session:
    """The hardware that computes, the folder of artefacts, and the cache of scores, if any."""

    hardware: Hardware = Hardware()
    store: Path = DEFAULT_STORE
    cache: ScoreCache | None = None

    @property
    def reference(self) -> Session:
        """The same session, computing in single precision with torch."""
        return replace(self, hardware=self.hardware.reference)

    def over(self, part: _Part) -> _Part:
        """The same part working in this session, and so every part within it.

        Fields declared with ``handed_over`` take the session's value of their name. A part that
        says nothing of the session is returned as it is.
        """
        return rebuild(part, self._hand_over)

    def settle(self, owner: DataclassInstance, names: Iterable[str]) -> None:
        """Hand over to the parts that a frozen owner has just been made of."""
        held = read_field_values(owner)
        for name in names:
            object.__setattr__(owner, name, self.over(held[name]))

    def _hand_over(self, part: DataclassInstance) -> DataclassInstance:
        session, held = read_field_values(self), read_field_values(part)
        names = [declared.name for declared in fields(part) if is_handed_over(declared)]
        changes = {name: session[name] for name in names if session[name] is not held[name]}
        return replace(part, **changes) if changes else part

"""Where parts run and where things are kept: handed over to them, never configured twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar, cast

from recross.inference.cache.score_cache import ScoreCache
from recross.machine.hardware import Hardware
from recross.parts.identity import is_handed_over
from recross.store import DEFAULT_STORE

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
        return cast(_Part, self._over(part))

    def settle(self, owner: object, names: Iterable[str]) -> None:
        """Hand over to the parts that a frozen owner has just been made of."""
        for name in names:
            object.__setattr__(owner, name, self.over(getattr(owner, name)))

    def _over(self, value: Any) -> Any:
        if isinstance(value, tuple | list):
            placed = [self._over(item) for item in value]
            same = all(new is old for new, old in zip(placed, value, strict=True))
            return value if same else type(value)(placed)
        if isinstance(value, Mapping):
            named = {key: self._over(item) for key, item in value.items()}
            return value if all(named[key] is value[key] for key in value) else named
        if not is_dataclass(value) or isinstance(value, type):
            return value
        changes = {}
        for declared in fields(value):
            old = getattr(value, declared.name)
            new = getattr(self, declared.name) if is_handed_over(declared) else self._over(old)
            if new is not old:
                changes[declared.name] = new
        return replace(value, **changes) if changes else value

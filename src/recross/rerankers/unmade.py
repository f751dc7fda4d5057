"""A checkpoint that is yet to be made when it is named."""

from __future__ import annotations

from abc import ABC, abstractmethod


class UnmadeCheckpoint(ABC):
    """A checkpoint described by how it is made; an experiment finds it in the store or makes it."""

    @property
    @abstractmethod
    def base_checkpoint(self) -> str:
        """The checkpoint whose weights learn first of all."""

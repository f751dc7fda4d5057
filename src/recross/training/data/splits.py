"""A collection, and what each of its splits is for."""

from __future__ import annotations

from dataclasses import dataclass

from recross.collections.collection import Collection


@dataclass(frozen=True)
class SplitCollection:
    """Groups are of ``train``, checkpoints are chosen on ``dev``; ``test`` is left for the end."""

    collection: Collection
    train: str = "train"
    dev: str = "dev"
    test: str = "test"

    @property
    def names(self) -> list[str]:
        """The names of the splits, training first."""
        return [self.train, self.dev, self.test]

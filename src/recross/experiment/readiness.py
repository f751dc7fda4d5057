"""What a command needs and does not find: paths, splits, devices, networks; seen at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recross.checkpoints.hub import require_place
from recross.checkpoints.location import EMBEDDED
from recross.collections.collection import CollectionSource, find_splits
from recross.errors import ConfigError, InputError
from recross.experiment.networks import load_networks
from recross.machine.hardware import Hardware
from recross.parts.closest import suggest
from recross.parts.fields import holds_fields, read_field_values
from recross.parts.identity import is_handed_over
from recross.writing.progress import working

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

STAGES = ("retriever", "reranker", "negatives", "candidates")


@dataclass(frozen=True)
class CommandNeeds:
    """What a command will use: ``parts`` by name, and ``splits`` of its collection by argument."""

    collection: CollectionSource
    hardware: Hardware
    parts: Mapping[str, object]
    splits: Mapping[str, str] = field(default_factory=dict)
    is_for_ray: bool = False
    """Whether a cluster of Ray computes, whose devices are its own."""
    learners: frozenset[str] = frozenset()
    """Names of the parts that are trained before they score."""
    trains: bool = False
    """Whether checkpoints that are described by their training are made first."""

    @classmethod
    def of(cls, command: DataclassInstance) -> CommandNeeds:
        """The needs of a command that trains nothing: its stages, their candidates, its split."""
        held: dict[str, Any] = read_field_values(command)
        parts = {name: held[name] for name in STAGES if name in held}
        splits = {"split": held["split"]} if "split" in held else {}
        is_for_ray = held.get("executor") == "ray"
        return cls(held["collection"], held["hardware"], parts, splits, is_for_ray)

    def check(self) -> None:
        """Refuse to begin where something is not there.

        Raises:
            ConfigError: with everything that is not.
        """
        if lacks := self.find_lacks():
            raise ConfigError(lacks)

    def load(self) -> None:
        """Load every network, wherever in the parts it stands.

        Raises:
            InputError: one is missing, is none for its hardware, or has a head that was drawn and
                that nothing trains before it scores.
        """
        with working("loading networks"):  # and the libraries that compute
            for name, part in self.parts.items():
                load_networks(part, learns=name in self.learners, trains=self.trains)

    def find_lacks(self, is_elsewhere: bool = False) -> list[str]:
        """What is not there; of devices nothing is said where a command runs on other machines."""
        named = {"collection": self.collection, **self.parts}
        paths = [lack for name, part in named.items() for lack in _find_path_lacks(name, part)]
        devices = () if is_elsewhere or self.is_for_ray else self.hardware.find_lacks()
        return [*paths, *self._find_split_lacks(), *(f"hardware: {lack}" for lack in devices)]

    def _find_split_lacks(self) -> Iterator[str]:
        known = find_splits(self.collection)
        for argument, split in self.splits.items() if known is not None else ():
            if known and split not in known:
                makes = "; collection=held_out makes a split dev of training queries"
                help_out = suggest(split, known) or (makes if split == "dev" else "")
                yield (
                    f"{argument}: must be a split of the collection ({', '.join(known)}),"
                    f" got {split!r}{help_out}"
                )


def _find_path_lacks(place: str, value: object) -> Iterator[str]:
    """The files, folders and checkpoints that a part names and that are not there."""
    if isinstance(value, Path) and not value.exists():
        yield f"{place}: must be a path that exists, got {str(value)!r}"
    for step, inner, is_checkpoint in _list_inner(value):
        if is_checkpoint and isinstance(inner, str):
            yield from _find_checkpoint_lack(f"{place}{step}", inner)
        else:
            yield from _find_path_lacks(f"{place}{step}", inner)


def _list_inner(value: object) -> list[tuple[str, object, bool]]:
    """What a part, a mapping or a list holds: where, what, and whether it names a checkpoint."""
    match value:
        case Mapping():
            return [(f".{key}", item, False) for key, item in value.items()]
        case list() | tuple():
            return [(f"[{number}]", item, False) for number, item in enumerate(value)]
        case _ if holds_fields(value):
            held = read_field_values(value)
            own = [declared for declared in fields(value) if not is_handed_over(declared)]
            return [(f".{d.name}", held[d.name], bool(d.metadata.get("read"))) for d in own]
    return []


def _find_checkpoint_lack(place: str, checkpoint: str) -> Iterator[str]:
    if checkpoint.startswith(EMBEDDED):
        return
    try:
        require_place(checkpoint)
    except InputError as error:
        yield f"{place}: {str(error).removeprefix('checkpoint ')}"

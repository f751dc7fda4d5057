"""The embedded collection: documentation strings of installed packages.

The summary line of a public function, class or method is a query; the rest of its documentation
is the one relevant document. No download, no licence question, and a task that is real: find the
page that belongs to a one-line description. Sources are parsed, never imported.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Annotated

from recross.collections.collection import Collection
from recross.collections.docstrings import Entry, harvest
from recross.collections.files import BeirFolder, write_beir
from recross.errors import InputError
from recross.machine.processor import count_usable_cores
from recross.parts.bounds import Filled, Ge, Lt, checked
from recross.parts.identity import handed_over
from recross.records import JsonObject
from recross.store import DEFAULT_STORE, Store, hash_files, read_manifest
from recross.text_files.values import is_fit_id

SUMMARY_WORDS = (4, 30)
BODY_WORDS = 15
SPLITS = ("train", "dev", "test")


@dataclass(frozen=True)
@checked
class Apidocs:
    """Documented public names of ``packages``, ``size`` of them (``None``: all).

    A document is the first ``body_words`` words below the summary (``None``: all of them), so that
    stages with different token limits read nearly the same text. A name's split and its place in
    the sample follow from a hash of the name, so both stay as they are when packages are
    added. ``test_share`` and ``dev_share`` are shares of all names. ``name`` is what results call
    the collection.
    """

    packages: Annotated[tuple[str, ...], Filled("name at least one package")]
    size: Annotated[int, Ge(10)] | None = 5000
    body_words: Annotated[int, Ge(BODY_WORDS)] | None = 50
    test_share: Annotated[float, Ge(0), Lt(1)] = 0.15
    dev_share: Annotated[float, Ge(0), Lt(1)] = 0.06
    name: str = field(default="apidocs", compare=False)
    store: Path = handed_over(DEFAULT_STORE)

    def __post_init__(self) -> None:
        if not 0 < self.test_share + self.dev_share < 1:
            raise InputError(
                "test_share + dev_share must lie in (0, 1),"
                f" got {self.test_share} + {self.dev_share}"
            )

    def list_splits(self) -> list[str]:
        """The splits that every collection of this kind has."""
        return list(SPLITS)

    def load(self) -> Collection:
        """Build the collection once (seconds) and keep it in the store as a BEIR folder.

        Raises:
            InputError: a package is not installed.
        """
        versions = {package: _find_version_of(package) for package in self.packages}
        identity = {"source": self, "versions": versions}
        folder = Store(self.store).artefact(
            "collections", identity, lambda path: self._build(path, versions)
        )
        loaded = BeirFolder(folder).load()
        return replace(loaded, name=self.name, fingerprint=read_manifest(folder)["content_hash"])

    def _build(self, folder: Path, versions: Mapping[str, str]) -> JsonObject:
        entries = [self._shorten(entry) for entry in extract(self.packages)]
        usable = keep_unambiguous(entries)
        kept = sorted(usable, key=lambda entry: _hash_name("sample", entry.name))[: self.size]
        kept.sort(key=lambda entry: entry.name)
        splits = {entry.name: self._split(entry.name) for entry in kept}
        qrels = {
            split: {name: {name: 1} for name, assigned in splits.items() if assigned == split}
            for split in SPLITS
        }
        collection = Collection(
            name="apidocs",
            documents={entry.name: entry.body for entry in kept},
            queries={entry.name: entry.summary for entry in kept},
            split_queries={},
            split_qrels=qrels,
            fingerprint="",
        )
        write_beir(folder, collection)
        files = [folder / "corpus.jsonl", folder / "queries.jsonl"]
        files += [folder / "qrels" / f"{split}.tsv" for split in qrels]
        return {
            "packages": dict(versions),
            "documented_names": len(entries),
            "after_removing_ambiguous": len(usable),
            "documents": len(kept),
            "queries": {split: len(judged) for split, judged in qrels.items()},
            "content_hash": hash_files(*files),
        }

    def _shorten(self, entry: Entry) -> Entry:
        return entry._replace(body=" ".join(entry.body.split()[: self.body_words]))

    def _split(self, name: str) -> str:
        position = int(_hash_name("split", name)[:8], 16) / 16**8
        if position < self.test_share:
            return "test"
        return "dev" if position < self.test_share + self.dev_share else "train"


def extract(packages: Sequence[str]) -> list[Entry]:
    """Every documented public name of the packages, tests left out, in order of the files."""
    sources = [item for package in packages for item in _read_sources(package)]
    return harvest(sources, min(count_usable_cores(), 8))


def keep_unambiguous(entries: Sequence[Entry]) -> list[Entry]:
    """Keep names whose summary and body are long enough and nobody else's."""
    low, high = SUMMARY_WORDS
    usable = [
        entry
        for entry in entries
        if low <= len(entry.summary.split()) <= high and len(entry.body.split()) >= BODY_WORDS
    ]
    names = Counter(entry.name for entry in entries)
    summaries = Counter(_fold(entry.summary) for entry in entries)
    bodies = Counter(_fold(entry.body) for entry in entries)
    return [
        entry
        for entry in usable
        if names[entry.name] == 1
        and summaries[_fold(entry.summary)] == 1
        and bodies[_fold(entry.body)] == 1
    ]


def _read_sources(package: str) -> Iterator[tuple[str, str]]:
    root = _find_folder(package)
    for path in sorted(root.rglob("*.py")):
        names = path.relative_to(root.parent).with_suffix("").parts
        if not {"test", "tests", "_pytest"} & set(names) and all(map(is_fit_id, names)):
            yield ".".join(name for name in names if name != "__init__"), str(path)


def _find_folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise InputError(_say_not_installed(package))
    return Path(spec.submodule_search_locations[0])


def _find_version_of(package: str) -> str:
    _find_folder(package)
    try:
        return importlib.metadata.version(_list_distributions().get(package, [package])[0])
    except importlib.metadata.PackageNotFoundError:  # a folder of files, or Python's own
        raise InputError(_say_not_installed(package)) from None


def _say_not_installed(package: str) -> str:
    return (
        f"collection.packages must name installed packages, got {package!r};"
        " pip install 'recross[embedded]' brings the default ones"
    )


@cache
def _list_distributions() -> Mapping[str, Sequence[str]]:
    """Distributions by package; a look at every file that was ever installed."""
    return importlib.metadata.packages_distributions()


def _fold(text: str) -> str:
    return text.casefold().rstrip(".")


def _hash_name(purpose: str, name: str) -> str:
    return hashlib.sha256(f"{purpose}:{name}".encode()).hexdigest()

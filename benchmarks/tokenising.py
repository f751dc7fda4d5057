"""Token ids of a whole collection: seconds and memory at several sizes, and after a kill.

    python benchmarks/tokenising.py [--documents 1000000] [--plot docs/tokenising.svg]

Made-up documents of 60 words, read lazily, are indexed and tokenised into a store as a study does
it, by all cores; each size in a process of its own, whose memory (resident, with that of the
processes it starts) is looked at ten times a second. At the second size one more run is killed when
about half is written, and begun again.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np

POOL, WORDS = 5_000, 60
SHARES = (0.1, 0.25, 0.5, 1.0)


class MadeUp(Mapping[str, str]):
    """Documents that are made when they are read, so that only what reads them needs memory."""

    def __init__(self, count: int) -> None:
        from gpu_workload import write_texts

        sizes = np.full(POOL, WORDS - 1)
        self._pool, self._count = write_texts(sizes, np.random.default_rng(0)), count

    def __getitem__(self, name: str) -> str:
        number = int(name)
        return f"{self._pool[number % POOL]} {number}"

    def __iter__(self) -> Iterator[str]:
        return map(str, range(self._count))

    def __len__(self) -> int:
        return self._count


def keep(count: int, store: Path) -> None:
    """Keep the tokens of so many documents, and say how long it took."""
    from gpu_workload import TINY, save_checkpoint
    from transformers import AutoTokenizer

    from recross.collections.collection import Collection
    from recross.inference.texts.collection_texts import CollectionTexts

    tokenizer = AutoTokenizer.from_pretrained(
        save_checkpoint(store / "checkpoint", TINY["MiniLM-L6"])
    )
    documents = MadeUp(count)
    collection = Collection("made-up", documents, {"q": "a query"}, {}, {}, f"made-up {count}")
    start = time.perf_counter()
    texts = CollectionTexts(collection, store).all_documents()
    indexed = time.perf_counter()
    tokens = texts.take(np.arange(100)).tokens(tokenizer)
    done = time.perf_counter()
    (folder,) = (store / "token_ids").glob("[!.]*")
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    found = {"documents": count, "index_seconds": indexed - start, "bytes": size}
    print(json.dumps({**found, "seconds": done - indexed, "first_tokens": len(tokens.ids)}))


def run_apart(count: int, store: Path, until: float = 1.0) -> dict[str, Any]:
    """Keep tokens in a process of its own; ``until`` a share is written, then it is killed."""
    command = [sys.executable, __file__, "--keep", str(count), "--store", str(store)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    peak, start = 0.0, time.perf_counter()
    while process.poll() is None:
        peak = max(peak, sum(map(read_memory, list_family(process.pid))))
        if count_written(store) >= until * count and until < 1:
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.1)
    said, _ = process.communicate()
    found = json.loads(said) if said.strip() else {"killed_at": count_written(store)}
    return found | {"wall_seconds": time.perf_counter() - start, "peak_mb": peak / 2**20}


def count_written(store: Path) -> int:
    """Documents that an unfinished run has on the disk."""
    for path in (store / "token_ids").glob(".*.partial/documents/written.json"):
        try:
            return int(json.loads(path.read_text())["texts"])
        except (OSError, ValueError):  # replaced in this moment
            return 0
    return 0


def list_family(pid: int) -> list[int]:
    """A process and all that it started."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *(member for child in children for member in list_family(int(child)))]


def read_memory(pid: int) -> int:
    """Resident bytes of a process."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Seconds and memory by the number of documents."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.2), layout="constrained")
    for place, (key, title) in enumerate(
        [("seconds", "seconds to tokenise"), ("peak_mb", "peak memory, MB, all processes")], 1
    ):
        axes = figure.add_subplot(1, 2, place)
        counts = [row["documents"] / 1e6 for row in rows]
        axes.plot(counts, [row[key] for row in rows], "o-", color="#0b6e99")
        if key == "seconds":
            rate = rows[-1]["seconds"] / counts[-1]
            axes.plot([0, counts[-1]], [0, rate * counts[-1]], ":", color="grey", label="linear")
            axes.legend(frameon=False)
        axes.set(xlabel="million documents", title=title, xlim=(0, None), ylim=(0, None))
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--keep", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--store", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.keep is not None:
        keep(asked.keep, asked.store)
        return
    rows = []
    titles = ("documents", "index s", "tokens s", "docs/s", "MB kept", "peak MB")
    print(" ".join(f"{title:>10}" for title in titles))
    for share in SHARES:
        folder = Path(tempfile.mkdtemp())
        row = run_apart(int(share * asked.documents), folder)
        shutil.rmtree(folder)
        rows.append(row)
        values = [row["documents"], row["index_seconds"], row["seconds"]]
        values += [row["documents"] / row["seconds"], row["bytes"] / 2**20, row["peak_mb"]]
        print(" ".join(f"{value:10,.0f}" for value in values), flush=True)
    folder, count = Path(tempfile.mkdtemp()), int(SHARES[1] * asked.documents)
    killed = run_apart(count, folder, until=0.4)
    again = run_apart(count, folder)
    shutil.rmtree(folder)
    print(
        f"killed with {killed['killed_at']:,} of {count:,} written; begun again it tokenised the"
        f" rest in {again['seconds']:.1f} s, all at once {rows[1]['seconds']:.1f} s"
    )
    if asked.plot:
        draw(rows, asked.plot)


if __name__ == "__main__":
    main()

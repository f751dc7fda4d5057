"""A small study under kills, a crowd and a disk that fills: its table is that of a quiet run.

Run as ``python -m tests.soak --kills 60 --seconds 900``; exits with 1 on any deviation.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from recross.collections.files import write_beir
from tests.conftest import save_tiny, toy_collection

CELL = [
    *("collection=files", "collection.folder=toy", "retriever=bm25", "reranker=cross_encoder"),
    *("reranker.checkpoint=tiny", "reranker.fresh_head=true", "reranker.max_length=32"),
    *("training=smoke", "training.steps=4", "training.validations=2", "latency_queries=0"),
    # as many alone as beside others: sums, and so the last digits of weights, follow from it
    *("hardware.threads=1", "study=s", "name=${hydra:runtime.choices.negatives}"),
]
SWEEP = ["-m", *CELL, "negatives=random,bm25", "seed=0,1"]
PARALLEL = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
TIMES = {"seconds", "pairs_per_second", "tokens_per_second", "peak_memory_mb"}
"""Entries of a record that differ from run to run."""
CACHE_COUNTS = {"cache", "cost"}
"""Entries that say what was kept of an earlier run."""
PHASES: dict[str, Callable[[str, Path], bool]] = {
    "retrieval": lambda _said, _output: True,
    "training": lambda said, _output: "training on" in said,
    "re-ranking": lambda said, _output: "re-ranking" in said,
    "tables": lambda _said, output: len([*output.rglob("result.json")]) == 4,
}
"""When a disk fills: by what was said, and what lies in the output."""


@dataclass
class Started:
    """A process of its own group, and where it writes what it says."""

    process: subprocess.Popen
    said: Path

    def read(self) -> str:
        return self.said.read_text(errors="replace")

    def end_group(self, number: int = signal.SIGKILL) -> None:
        """Signal all that is left of the group, such as workers whose parent was killed."""
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            return


@dataclass
class Soak:
    """A folder with the data of the study, and what deviated from what it should be."""

    folder: Path
    random: random.Random
    deviations: list[str] = field(default_factory=list)
    started: list[Started] = field(default_factory=list)

    def start(self, words: Sequence[str], folder: Path | None = None) -> Started:
        """Start ``recross run`` with the words in a folder."""
        said = self.folder / "said" / f"{len(self.started)}.txt"
        with said.open("w") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "recross", "run", *words],
                cwd=folder or self.folder,
                env={**os.environ, "TMPDIR": str(self.folder / "temporary")},
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        self.started.append(Started(process, said))
        return self.started[-1]

    def expect(self, holds: bool, what: str, started: Started | None = None) -> None:
        """Note a deviation, with the end of what the process said."""
        if not holds:
            lines = started.read().split("\n")[-12:] if started else []
            end = "".join(f"\n    {line}" for line in lines)
            self.deviations.append(what + end)
            say(f"  DEVIATION: {what}{end}")

    def expect_calm(self, started: Started, codes: set[int], what: str) -> None:
        code = started.process.returncode
        self.expect(code in codes, f"{what}: exit code {code}, not of {sorted(codes)}", started)
        self.expect("Traceback" not in started.read(), f"{what}: a traceback", started)

    def expect_same(self, output: Path, expected: dict[str, object], what: str) -> None:
        found = describe_output(output)
        for name in sorted({*expected, *found}):
            if name not in found:
                self.expect(False, f"{what}: {name} is missing")
            elif name not in expected:
                self.expect(False, f"{what}: {name} is stray")
            else:
                other = show_difference(expected[name], found[name])
                self.expect(found[name] == expected[name], f"{what}: {name} differs{other}")


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def describe_output(output: Path) -> dict[str, object]:
    """Every file by its name, with what must not differ of its content."""
    files = (path for path in output.rglob("*") if path.is_file() and path.suffix != ".lock")
    return {str(path.relative_to(output)): describe_file(path, output.name) for path in files}


def show_difference(expected: object, found: object) -> str:
    """The first lines in which two texts differ; nothing of what is no text."""
    if not isinstance(expected, bytes) or not isinstance(found, bytes):
        return ""
    lines = (text.decode(errors="replace").splitlines() for text in (expected, found))
    differing = (pair for pair in zip(*lines, strict=False) if pair[0] != pair[1])
    return "".join(f"\n    -{one}\n    +{other}" for one, other in islice(differing, 3))


def describe_file(path: Path, output: str) -> object:
    """What must not differ of a file; tables name experiments, below the folder ``output``."""
    if path.name in ("table.md", "table.csv", "table.tex", "measures.json", "texts.json"):
        return path.read_bytes().replace(f"{output}/s/".encode(), b"s/")
    if path.suffix in (".trec", ".safetensors"):
        return path.read_bytes()
    if path.name == "result.json":
        record = json.loads(path.read_text())
        left = {key: record[key] for key in sorted(record.keys() - TIMES - CACHE_COUNTS)}
        left["training"] = {k: v for k, v in record["training"].items() if k not in TIMES}
        return left
    return None


def make_reference(soak: Soak) -> tuple[dict[str, object], float]:
    """The output of a sweep that nothing disturbs, and how many seconds it took."""
    begin = time.monotonic()
    started = soak.start([*SWEEP, *PARALLEL, "output=undisturbed"])
    started.process.wait()
    soak.expect_calm(started, {0}, "undisturbed")
    seconds = time.monotonic() - begin
    say(f"undisturbed: four cells in {seconds:.0f} s")
    return describe_output(soak.folder / "undisturbed"), seconds


def kill_often(
    soak: Soak, expected: dict[str, object], kills: int, seconds: float, longest: float
) -> None:
    """Kill the sweep at random times, start it again, and compare whenever it comes to its end."""
    output, killed, finished = soak.folder / "killed", Counter(), 0
    deadline = time.monotonic() + seconds
    while killed.total() < kills and time.monotonic() < deadline:
        started = soak.start([*SWEEP, *PARALLEL, "output=killed"])
        try:
            started.process.wait(timeout=soak.random.uniform(0.2, longest))
        except subprocess.TimeoutExpired:
            killed[kill(soak, started)] += 1
        else:
            finish(soak, started, output, expected, "between kills")
            shutil.rmtree(output)
            finished += 1
    started = soak.start([*SWEEP, *PARALLEL, "output=killed"])
    started.process.wait()
    finish(soak, started, output, expected, "after the kills")
    say(f"kills: {dict(killed)}; {finished} sweeps came to their end between them, one after them")


def kill(soak: Soak, started: Started) -> str:
    """Kill the process alone or with those it started; the name of the signal."""
    number = soak.random.choice([signal.SIGKILL, signal.SIGTERM])
    whole_group = soak.random.random() < 0.5
    if whole_group:
        started.end_group(number)
    else:
        started.process.send_signal(number)
    started.process.wait()
    codes = {-signal.SIGKILL} if number == signal.SIGKILL else {143, -signal.SIGTERM, 0}
    soak.expect_calm(started, codes, f"{number.name} to {'all' if whole_group else 'one'}")
    return number.name


def finish(
    soak: Soak, started: Started, output: Path, expected: dict[str, object], what: str
) -> None:
    soak.expect_calm(started, {0}, what)
    soak.expect_same(output, expected, what)
    started.end_group()


def crowd(soak: Soak, expected: dict[str, object], processes: int) -> None:
    """Several processes at once on one experiment."""
    words = [*CELL, "negatives=random", "seed=0", "output=crowded"]
    crowd = [soak.start(words) for _ in range(processes)]
    for started in crowd:
        started.process.wait()
        soak.expect_calm(started, {0}, "of a crowd")
    cell = {name: value for name, value in expected.items() if name.startswith("s/random/seed=0")}
    found = describe_output(soak.folder / "crowded" / "s")
    alone = {name.removeprefix("s/"): value for name, value in cell.items()}
    for name in sorted({*alone, *found}):
        same = name in found and name in alone and found[name] == alone[name]
        soak.expect(same, f"of a crowd: {name} is missing, stray or other")
    say(f"crowd: {processes} processes on one experiment")


def fill_disks(soak: Soak, expected: dict[str, object], megabytes: int) -> None:
    """A disk that is full from each phase on, and has space again for the next sweep."""
    place = soak.folder / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(place)]
    for phase, is_reached in PHASES.items():
        if subprocess.run(command, capture_output=True).returncode:
            say("disk: LEFT OUT, a tmpfs cannot be mounted here")
            return
        try:
            for name in ("toy", "tiny"):
                shutil.copytree(soak.folder / name, place / name)
            code = run_while_full(soak, place, phase, is_reached)
            again = soak.start([*SWEEP, "output=output"], place)
            again.process.wait()
            finish(soak, again, place / "output", expected, f"space again after {phase}")
            say(f"disk: full in {phase}, exit code {code}; then to the end")
        finally:
            subprocess.run(["umount", str(place)], check=True)


def run_while_full(
    soak: Soak, place: Path, phase: str, is_reached: Callable[[str, Path], bool]
) -> int:
    started = soak.start([*SWEEP, "output=output"], place)
    filler = place / "filler"
    while started.process.poll() is None:
        if is_reached(started.read(), place / "output"):
            fill(filler)
        time.sleep(0.01)
    filler.unlink(missing_ok=True)
    soak.expect_calm(started, {0, 1}, f"full in {phase}")
    return started.process.returncode


def fill(path: Path) -> None:
    """Take what space is left."""
    with path.open("ab", buffering=0) as file:
        for size in (1 << 20, 1 << 12):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue


def disturb(soak: Soak, arguments: argparse.Namespace) -> None:
    """The study undisturbed, and then in every way that is asked for."""
    expected, seconds = make_reference(soak)
    if arguments.kills:
        kill_often(soak, expected, arguments.kills, arguments.seconds, seconds)
    if arguments.processes:
        crowd(soak, expected, arguments.processes)
    if arguments.megabytes:
        fill_disks(soak, expected, arguments.megabytes)
    faults = [*(soak.folder / "temporary").glob("recross-fault-*")]
    soak.expect(not faults, "".join(fault.read_text() for fault in faults))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak")
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=900, help="at most, of the kills")
    parser.add_argument("--processes", type=int, default=10, help="at once on one experiment")
    parser.add_argument("--megabytes", type=int, default=48, help="of the disk that fills; 0: none")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="recross-soak-") as name:
        soak = Soak(Path(name), random.Random(arguments.seed))
        for folder in ("said", "temporary"):
            (soak.folder / folder).mkdir()
        write_beir(soak.folder / "toy", toy_collection())
        save_tiny(soak.folder / "tiny")
        try:
            disturb(soak, arguments)
        finally:
            for started in soak.started:
                started.end_group()
    say(f"{len(soak.deviations)} deviations")
    return 1 if soak.deviations else 0


if __name__ == "__main__":
    raise SystemExit(main())

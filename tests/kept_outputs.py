"""What a change must not change: record the outputs of small runs before and after, and compare.

    python -m tests.kept_outputs record FOLDER [--only NAME ...]
    python -m tests.kept_outputs compare BEFORE AFTER

Every configuration is a command of recross on a toy collection, with seeded random checkpoints of
the real classes; ``scores`` are those of the Python API. Kept are runs, records without times,
where classes are named without their modules, and digests of trained weights.
Both records must be made on one machine, as other processors round differently.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.kept_inputs import CONFIGURATIONS, SCORED, make_inputs

ROOT = Path(__file__).parents[1]
ALONE = {
    **{"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"},
    **{"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "TQDM_DISABLE": "1"},
}
MADE = ("checkpoints", "collection", "work")
"""Folders of a record that hold what its runs read and wrote."""

COMPARE_DOCUMENTS = {"duot5", "duobert"}
NOT_KEPT = re.compile(r".*(seconds|per_second|latency|_ms$|memory).*|fingerprint")
CLASS = re.compile(r"\brecross(?:\.\w+)*\.([A-Z]\w*)")
STATE = re.compile(r" \([0-9a-f]{16}\)")


def record(folder: Path, names: Sequence[str]) -> None:
    """Run what is named and keep its outputs in ``folder/<name>``."""
    inputs = make_inputs(folder)
    for name in SCORED:  # so that other inputs are not taken for other outputs
        write(folder / "inputs" / f"{name}.json", digests(inputs[name] / "model.safetensors"))
    for name in names:
        say(name)
        shutil.rmtree(folder / name, ignore_errors=True)
        (folder / name).mkdir()
        if name == "scores":
            keep_scores(folder / name, inputs)
        else:
            keep(run(folder, name, inputs), folder, folder / name)


def run(folder: Path, name: str, inputs: dict[str, Path]) -> Path:
    """Run a configuration, which must succeed; the folder that it wrote."""
    output = folder / "work" / name
    shutil.rmtree(output, ignore_errors=True)
    words = ["run", "collection=files", f"collection.folder={folder / 'collection'}", "depth=8"]
    words += ["latency_queries=2", "training=none", "retriever=bm25", "study=s", "name=cell"]
    given = CONFIGURATIONS[name].format(**inputs).split()
    chosen = {word.partition("=")[0] for word in given}
    words = [word for word in words if word.partition("=")[0] not in chosen]
    command = [sys.executable, "-m", "recross", *words, *given, f"output={output}"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | ALONE)
    if done.returncode:
        sys.exit(f"{name} ended with {done.returncode}: {' '.join(command)}\n{done.stderr[-3000:]}")
    return output / "s" / "cell" / "seed=0"


def keep(written: Path, folder: Path, kept: Path) -> None:
    """Keep runs as they are, records without what may differ, weights as digests."""
    for path in written.glob("*.trec"):
        shutil.copy(path, kept)
    records = [written / f"{name}.json" for name in ("result", "measures", "texts")]
    trained = [path for path in written.glob("checkpoint/**/*.json") if "token" not in path.name]
    for path in records + sorted(trained):
        text = path.read_text(encoding="utf-8").replace(str(folder), "FOLDER")
        text = CLASS.sub(r"\1", STATE.sub("", text))
        write(kept / path.relative_to(written), lasting(json.loads(text)))
    for path in written.glob("checkpoint/**/*.safetensors"):
        write(kept / path.relative_to(written).with_suffix(".weights.json"), digests(path))


def digests(weights: Path) -> dict[str, str]:
    """Type, shape and SHA-256 of every tensor of a file."""
    from safetensors.numpy import load_file

    return {
        name: f"{value.dtype} {value.shape} {hashlib.sha256(value.tobytes()).hexdigest()}"
        for name, value in sorted(load_file(weights).items())
    }


def lasting(value: Any) -> Any:
    """A record without times, memory and fingerprints."""
    if isinstance(value, dict):
        return {key: lasting(one) for key, one in value.items() if not NOT_KEPT.fullmatch(key)}
    return [lasting(one) for one in value] if isinstance(value, list) else value


def keep_scores(kept: Path, inputs: dict[str, Path]) -> None:
    """Scores of the Python API on texts of unequal lengths, to the last bit."""
    from recross import load_reranker
    from tests.conftest import toy_collection

    toy = toy_collection()
    texts = list(toy.documents.values())
    documents = [" ".join(texts[n : n + 1 + n % 7]) for n in range(40)]
    queries = [toy.queries[f"q{n}"] + " lives here" * (n % 3) for n in range(40)]
    for name, contract in SCORED.items():
        reranker = load_reranker(inputs[name], contract=contract)
        found = {"score": reranker.score(queries[2], documents[:8])}
        if name not in COMPARE_DOCUMENTS:
            found["predict"] = reranker.predict(list(zip(queries, documents, strict=True)))
        digits = {key: [f"{one.dtype} {float(one).hex()}" for one in found[key]] for key in found}
        write(kept / f"{name}.json", digits)


def differences(before: Path, after: Path) -> Iterator[tuple[str, bool]]:
    """What differs, in words, and whether it is no more than an addition."""
    old, new = files(before), files(after)
    for name in sorted(old.keys() | new.keys()):
        if name not in old or name not in new:
            yield f"{name}: only in {after if name in new else before}", name in new
        elif name.endswith(".json"):
            one, other = (dict(leaves(json.loads(data))) for data in (old[name], new[name]))
            for key in one | other:
                was, now = one.get(key, "nothing"), other.get(key, "nothing")
                if was != now:
                    yield f"{name}: {key}: {was} before, {now} after", key not in one
        elif old[name] != new[name]:
            lines = zip(old[name].splitlines(), new[name].splitlines(), strict=False)
            first = next((n for n, (a, b) in enumerate(lines, 1) if a != b), "the shorter's end")
            yield f"{name}: differs from line {first} on", False


def files(folder: Path) -> dict[str, bytes]:
    """Content of the kept files of a record by name."""
    found = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
    return {str(p): at.read_bytes() for p, at in found.items() if p.parts[0] not in MADE}


def leaves(value: Any, at: str = "") -> Iterator[tuple[str, str]]:
    """Every value within a record by its place; a list has its length besides."""
    inner = dict(enumerate(value)) if isinstance(value, list) else value
    if not isinstance(inner, dict):
        yield at, json.dumps(value)
        return
    yield f"{at} ({type(value).__name__})", str(len(value)) if inner is not value else "keys"
    for key, one in inner.items():
        yield from leaves(one, f"{at}/{key}")


def compare(before: Path, after: Path) -> bool:
    """Say what differs; whether everything of before is equal after."""
    if not files(before):
        sys.exit(f"BEFORE must be a folder that record wrote, got {before}")
    found = list(differences(before, after))
    for words, is_addition in found:
        say(f"{'added' if is_addition else 'DIFFERS'}  {words}")
    changed = sum(not is_addition for _, is_addition in found)
    say(f"{len(files(before))} files, {changed} differences, {len(found) - changed} additions")
    return not changed


def write(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def say(words: str) -> None:
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


def main() -> int:
    names = [*CONFIGURATIONS, "scores"]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    recording = commands.add_parser("record")
    recording.add_argument("folder", type=Path)
    recording.add_argument("--only", nargs="+", choices=names, default=names, metavar="NAME")
    comparing = commands.add_parser("compare")
    comparing.add_argument("before", type=Path)
    comparing.add_argument("after", type=Path)
    given = parser.parse_args()
    if given.command == "compare":
        return 0 if compare(given.before, given.after) else 1
    os.environ.update(ALONE)
    record(given.folder.resolve(), given.only)
    return 0


if __name__ == "__main__":
    sys.exit(main())

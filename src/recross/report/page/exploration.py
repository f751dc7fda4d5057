"""What every system made of some queries: for the page's explorer."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from recross.experiment.texts import EXPLORED, SHOWN_DEPTH, TEXTS, sample_queries
from recross.records import Json, JsonObject
from recross.report.finished import Finished
from recross.report.tables.rows import INTERPOLATED
from recross.runs import Run

_KINDS = {"first_stage": "first stage", "reranked": "re-ranker", "interpolated": "interpolated"}
TIE = 1e-6
"""Values nearer than this are equal: the page shows fewer digits."""


@dataclass(frozen=True)
class System:
    """What ranked: a first stage, a re-ranker or both mixed.

    Systems of one ``group`` share a collection and a measure, so that their queries compare.
    ``values`` are the first measure of every judged query; ``run`` holds the sampled queries alone,
    and is ``None`` where the file is gone. ``first_stage`` says what was re-ranked.
    """

    label: str
    kind: str
    first_stage: str
    group: str
    values: Mapping[str, float]
    run: Run | None


@dataclass(frozen=True)
class GroupTexts:
    """What experiments of a group kept for the reader; empty in folders of old versions."""

    queries: Mapping[str, str]
    relevant: Mapping[str, Sequence[str]]
    documents: Mapping[str, str]


def find_systems(finished: Sequence[Finished], order: Sequence[str]) -> list[System]:
    """First stages, then what re-ranks them in this order of labels; of several seeds the first."""
    by_label: dict[str, Finished] = {}
    for experiment in finished:
        by_label.setdefault(experiment.record["label"], experiment)
    seeds = Counter(experiment.record["label"] for experiment in finished)

    def name(experiment: Finished) -> str:
        label = str(experiment.record["label"])
        return label if seeds[label] == 1 else f"{label}, seed {experiment.record['seed']}"

    ordered = sorted(
        by_label.values(), key=lambda experiment: _place(experiment.record["label"], order)
    )
    alone = [experiment for experiment in ordered if not _reranks(experiment)]
    reranking = [experiment for experiment in ordered if _reranks(experiment)]
    systems = [_make_system(experiment, "reranked", name(experiment)) for experiment in alone]
    known = {_first_stage(experiment) for experiment in alone}
    for experiment in reranking:
        if (stage := _first_stage(experiment)) not in known:
            known.add(stage)
            taken = {system.label for system in systems if system}
            systems.append(
                _make_system(
                    experiment, "first_stage", _choose_unused(_name_stage(experiment), taken)
                )
            )
    for experiment in reranking:
        systems.append(_make_system(experiment, "reranked", name(experiment)))
        if experiment.record.get("interpolation"):
            systems.append(
                _make_system(experiment, "interpolated", name(experiment) + INTERPOLATED)
            )
    return [system for system in systems if system]


def read_texts(finished: Iterable[Finished]) -> dict[str, GroupTexts]:
    """Texts of each group, of all its experiments together."""
    by_group: dict[str, GroupTexts] = {}
    for experiment in finished:
        kept = _read_json(experiment, TEXTS)
        texts = by_group.setdefault(_group(experiment), GroupTexts({}, {}, {}))
        by_group[_group(experiment)] = GroupTexts(
            queries={**texts.queries, **kept.get("queries", {})},
            relevant={**texts.relevant, **kept.get("relevant", {})},
            documents={**texts.documents, **kept.get("documents", {})},
        )
    return by_group


def explore(
    systems: Sequence[System], texts: Mapping[str, GroupTexts], size: int = EXPLORED
) -> dict[str, Json]:
    """Queries, documents and rankings as plain values; at most ``size`` queries of all groups.

    A system's ``values`` and ``rankings`` follow the queries of its group, a ranking's ``ranks``
    (0: not ranked) the documents of its query; ``scores`` are those of its first documents.
    ``outcomes[a][b]`` says how many judged queries ``b`` wins, ties and loses against ``a``.
    """
    names = list(dict.fromkeys(system.group for system in systems))
    groups = {
        name: _explored_group(
            [system for system in systems if system.group == name],
            texts.get(name, GroupTexts({}, {}, {})),
            size // len(names),
        )
        for name in names
    }
    return {
        "groups": list(groups.values()),
        "systems": [
            _explored_system(system, groups[system.group], names.index(system.group))
            for system in systems
        ],
        "first_stages": [_find_position(systems, system.first_stage) for system in systems],
        "outcomes": [
            [outcome(before.values, after.values) for after in systems] for before in systems
        ],
    }


def outcome(before: Mapping[str, float], after: Mapping[str, float]) -> tuple[int, int, int]:
    """Queries in which ``after`` is better, equal and worse, of those that both have."""
    gaps = [after[query_id] - value for query_id, value in before.items() if query_id in after]
    wins, losses = sum(gap > TIE for gap in gaps), sum(gap < -TIE for gap in gaps)
    return wins, len(gaps) - wins - losses, losses


def _explored_group(systems: Sequence[System], texts: GroupTexts, size: int) -> dict[str, Json]:
    judged = {query_id for system in systems for query_id in system.values}
    queries: list[dict[str, Json]] = [
        {
            "id": query_id,
            "text": texts.queries.get(query_id),
            "relevant": texts.relevant.get(query_id),
            "documents": _documents(systems, query_id, texts),
        }
        for query_id in sample_queries(judged, size)
    ]
    shown = dict.fromkeys(doc_id for query in queries for doc_id in query["documents"])
    return {
        "measure": json.loads(systems[0].group)[1],
        "judged": len(judged),
        "queries": queries,
        "texts": {doc_id: texts.documents[doc_id] for doc_id in shown if doc_id in texts.documents},
    }


def _documents(systems: Sequence[System], query_id: str, texts: GroupTexts) -> list[str]:
    """Documents in the first ranks of any system, and relevant ones whatever their rank."""
    shown: dict[str, None] = {}
    for system in systems:
        ranking = system.run.rankings.get(query_id, ()) if system.run else ()
        shown |= dict.fromkeys(doc.doc_id for doc in ranking[:SHOWN_DEPTH])
    return list(shown | dict.fromkeys(texts.relevant.get(query_id, ())[:SHOWN_DEPTH]))


def _explored_system(system: System, group: JsonObject, number: int) -> dict[str, Json]:
    values = [system.values.get(query["id"]) for query in group["queries"]]
    return {
        "label": system.label,
        "kind": system.kind,
        "group": number,
        "mean": sum(system.values.values()) / len(system.values),
        "values": [None if value is None else round(value, 6) for value in values],
        "rankings": None
        if system.run is None
        else [_ranking(system.run, query) for query in group["queries"]],
    }


def _ranking(run: Run, query: JsonObject) -> dict[str, list[float]]:
    ranking = run.rankings.get(query["id"], ())
    ranks = {doc.doc_id: rank for rank, doc in enumerate(ranking, start=1)}
    return {
        "ranks": [ranks.get(doc_id, 0) for doc_id in query["documents"]],
        "scores": [float(f"{doc.score:.5g}") for doc in ranking[:SHOWN_DEPTH]],
    }


def _make_system(experiment: Finished, stage: str, label: str) -> System | None:
    """``None`` where the folder has no measures of this stage."""
    per_query = _read_json(experiment, "measures.json").get(stage, {}).get("per_query", {})
    values = per_query.get(_measure(experiment))
    if not values:
        return None
    path = experiment.folder / f"{'candidates' if stage == 'first_stage' else stage}.trec"
    run = Run.read(path, sample_queries(values)) if path.is_file() else None
    kind = _KINDS[stage] if _reranks(experiment) else _KINDS["first_stage"]
    return System(label, kind, _first_stage(experiment), _group(experiment), values, run)


def _find_position(systems: Sequence[System], first_stage: str) -> int | None:
    """Where the first stage stands among the systems, unless its measures are gone."""
    places = (
        number
        for number, system in enumerate(systems)
        if system.first_stage == first_stage and system.kind == _KINDS["first_stage"]
    )
    return next(places, None)


def _read_json(experiment: Finished, name: str) -> dict[str, Json]:
    path = experiment.folder / name
    values: dict[str, Json] = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    return values


def _measure(experiment: Finished) -> str:
    return str(next(iter(experiment.record["measures"])))


def _group(experiment: Finished) -> str:
    return json.dumps([experiment.record["collection"], _measure(experiment)], sort_keys=True)


def _first_stage(experiment: Finished) -> str:
    return json.dumps(
        [experiment.record["retriever"], experiment.record["depth"], _group(experiment)]
    )


def _name_stage(experiment: Finished) -> str:
    return f"first stage: {experiment.record['candidates']}"


def _choose_unused(label: str, taken: set[str]) -> str:
    number = 2
    unused = label
    while unused in taken:
        unused, number = f"{label} ({number})", number + 1
    return unused


def _reranks(experiment: Finished) -> bool:
    return bool(experiment.record["reranks"])


def _place(label: str, order: Sequence[str]) -> int:
    return order.index(label) if label in order else len(order)

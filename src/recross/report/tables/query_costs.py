"""What a query takes, whichever of its scores were kept."""

from __future__ import annotations

from recross.records import JsonObject


def count_query_passes(run: JsonObject) -> float | None:
    """Forward passes that a query takes without kept scores; ``None`` where it takes none."""
    cost, queries = run["cost"], run["queries"]["scored"]
    passes = cost.get("forward_passes", 0) + cost.get("cache_hits", 0)
    return passes / queries if passes and queries else None


def count_query_tokens(run: JsonObject) -> float | None:
    """Tokens that a query takes without kept scores; ``None`` where that is not known."""
    cost, queries = run["cost"], run["queries"]["scored"]
    kept = cost.get("kept_tokens", 0)
    is_known = cost.get("tokens", 0) + kept > 0 and (kept or not cost.get("cache_hits"))
    return (cost["tokens"] + kept) / queries if is_known and queries else None

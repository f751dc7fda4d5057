"""Several evaluated runs side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from recross.evaluation.measures import Evaluation
from recross.evaluation.significance import bootstrap_interval, holm, paired_p_value


def comparison(
    evaluations: Mapping[str, Evaluation], measures: Sequence[str], per_query: bool = False
) -> str:
    """Means with intervals; p-values against the first run, Holm-corrected over the others."""
    lines = []
    (first, baseline), *others = evaluations.items()
    for measure in measures:
        lines.append(measure)
        raw = [
            paired_p_value(evaluation.per_query[measure], baseline.per_query[measure])
            for _, evaluation in others
        ]
        p_values = dict(zip([name for name, _ in others], holm(raw), strict=True))
        for name, evaluation in evaluations.items():
            values = evaluation.per_query[measure]
            low, high = bootstrap_interval(list(values.values()))
            versus = f"  p = {p_values[name]:.4f} against {first}" if name in p_values else ""
            lines.append(
                f"  {evaluation.mean[measure]:.4f} [{low:.4f}, {high:.4f}]  {name}{versus}"
            )
            if per_query:
                lines += [f"    {query_id}\t{value:.4f}" for query_id, value in values.items()]
    return "\n".join(lines)

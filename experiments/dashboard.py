"""A wandb workspace for a study: its table, quality against latency, curves, and rows to compare.

    python experiments/dashboard.py outputs/performance_table --entity ME [--project recross]

Needs an account, the network, and ``pip install wandb-workspaces``. Runs that were tracked offline
are sent first: ``wandb sync outputs/performance_table/*/seed=*/wandb/offline-run-*``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import wandb_workspaces.reports.v2 as panels
import wandb_workspaces.workspaces as workspaces

from recross.tracking.weights_and_biases import log_table


def main() -> None:
    """Log the table of the study, save the workspace, print its address."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("study", type=Path, help="a folder of outputs/, with its table.csv")
    parser.add_argument("--entity", required=True)
    parser.add_argument("--project", default="recross")
    parser.add_argument("--measure", default="MRR@10")
    asked = parser.parse_args()
    log_table(asked.study, asked.project, asked.entity)
    saved = workspace(asked.study.name, asked.entity, asked.project, asked.measure).save()
    print(saved.url)


def workspace(study: str, entity: str, project: str, measure: str) -> workspaces.Workspace:
    """The workspace of a study: its runs alone, best first, each group of panels a question."""
    quality = panels.SummaryMetric(f"measures/{measure}")
    latency = panels.SummaryMetric("latency_ms_per_100/p50")
    size = panels.SummaryMetric("size_mb")
    return workspaces.Workspace(
        entity=entity,
        project=project,
        name=f"recross: {study}",
        sections=[
            workspaces.Section(
                name="Which row is best, and what does it cost?",
                is_open=True,
                panels=[
                    panels.ScatterPlot(
                        title="quality, latency", x=latency, y=quality, z=size, log_x=True
                    ),
                    panels.BarPlot(title=measure, metrics=[f"measures/{measure}"]),
                    panels.MediaBrowser(media_keys=["table", "quality_latency"]),
                ],
            ),
            workspaces.Section(
                name="How did they learn?",
                is_open=True,
                panels=[
                    panels.LinePlot(title="loss", y=["loss"], smoothing_factor=0.6),
                    panels.LinePlot(title=f"dev {measure}", y=[f"dev {measure}"]),
                    panels.LinePlot(title="learning rate", y=["learning_rate"]),
                ],
            ),
            workspaces.Section(name="What differs?", panels=[panels.RunComparer(diff_only=True)]),
        ],
        runset_settings=workspaces.RunsetSettings(
            filters=f"Metric('group') == '{study}' and Metric('jobType') == 'experiment'",
            order=[workspaces.Ordering(workspaces.Summary(f"measures/{measure}"), ascending=False)],
        ),
    )


if __name__ == "__main__":
    main()

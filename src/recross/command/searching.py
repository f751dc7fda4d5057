"""``hydra/sweeper=optuna``: trials chosen from what others reached, each checked before it runs."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext
from omegaconf import DictConfig

from recross.command.building import build
from recross.command.checking import find_config_problems
from recross.command.composition import refuse_settings, resolve_config, save_config
from recross.command.search_space import SearchSpace, round_value
from recross.errors import ConfigError, InputError
from recross.experiment.place import Command
from recross.records import JsonObject
from recross.store import write_json

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.samplers import BaseSampler

logger = logging.getLogger(__name__)

SEARCH = "search.json"
BEST = "optimization_results.yaml"
SAMPLERS = {"tpe": "TPESampler", "random": "RandomSampler", "qmc": "QMCSampler"}


@dataclass
class Search:
    """``n_trials`` trials, ``n_jobs`` at a time, over the intervals and choices of the overrides.

    A job returns the dev measure that it reached. A trial whose values do not go together is
    refused before it runs, and the search goes on; so it does after one that failed, up to
    ``max_failure_rate``. Which values are tried follows from the sampler's seed and from what was
    reached, so that a search that is started again reads its finished trials.
    """

    n_trials: int
    n_jobs: int
    direction: Literal["maximize", "minimize"]
    max_failure_rate: float
    sampler: Mapping[str, object]
    params: Mapping[str, object] | None
    config: DictConfig
    context: HydraContext
    launcher: Launcher
    trials: list[JsonObject] = field(default_factory=list, init=False)

    def run(self, arguments: Sequence[str]) -> None:
        """Ask for trials, run them and tell what they reached, until all are done."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        space = SearchSpace.read(list_words(self.params, arguments))
        study = optuna.create_study(direction=self.direction, sampler=make_sampler(self.sampler))
        while (left := self.n_trials - len(self.trials)) > 0:
            distributions = space.list_distributions()
            asked = [study.ask(distributions) for _ in range(min(self.n_jobs, left))]
            self._try(study, space, asked)
            failed = sum(trial["value"] is None for trial in self.trials)
            self._record(study)
            if failed > self.max_failure_rate * len(self.trials):
                logger.error(
                    "recross: %d of %d trials failed: the search ends", failed, len(self.trials)
                )
                return

    def _try(self, study: Study, space: SearchSpace, asked: Sequence[Trial]) -> None:
        """Check the trials, run those that are sound, and tell what each reached."""
        words = {trial.number: space.write_trial(trial.params) for trial in asked}
        refused: dict[int, str] = {}
        cells: dict[int, Command] = {}
        for trial in asked:
            try:
                cells[trial.number] = self._check(words[trial.number])
            except InputError as error:
                refused[trial.number] = str(error)
        returns = self._launch([words[number] for number in cells], len(self.trials))
        reached = dict(zip(cells, returns, strict=True))
        for trial in asked:
            cell, value = cells.get(trial.number), reached.get(trial.number)
            reason = refused.get(trial.number)
            if cell is not None and value is None:
                reason = cell.place.find_failure() or "nothing was measured on dev"
            if value is None:
                self._tell_failure(study, trial, str(reason))
            else:
                study.tell(trial, value)
            self.trials.append(self._describe(trial, cell, value, reason))

    def _check(self, words: list[str]) -> Command:
        """The cell of a trial, composed as its job will compose it.

        Raises:
            InputError: its values do not go together.
        """
        composed = self.context.config_loader.load_sweep_config(self.config, words)
        refuse_settings(composed)
        values = resolve_config(composed)
        if problems := list(find_config_problems(values)):
            raise ConfigError(problems)
        cell: Command = build(values)
        cell.place.forget_failure()
        return cell

    def _launch(self, cells: Sequence[list[str]], first: int) -> list[float | None]:
        jobs: Sequence[JobReturn] = self.launcher.launch(cells, first) if cells else ()
        values = [job.return_value for job in jobs]
        return [float(value) if isinstance(value, int | float) else None for value in values]

    def _tell_failure(self, study: Study, trial: Trial, reason: str) -> None:
        from optuna.trial import TrialState

        study.tell(trial, state=TrialState.FAIL)
        logger.error("recross: trial %d failed: %s", trial.number + 1, reason)

    def _describe(
        self, trial: Trial, cell: Command | None, value: float | None, reason: str | None
    ) -> JsonObject:
        params = {key: round_value(held) for key, held in trial.params.items()}
        named = "  ".join(f"{key}={held}" for key, held in params.items())
        said = "failed" if value is None else f"{value:.4f}"
        logger.info("trial %d of %d: %s  %s", trial.number + 1, self.n_trials, said, named)
        study = cell.place.study if cell is not None else None
        return {
            "trial": trial.number + 1,
            "params": params,
            "value": value,
            "result": str(cell.place.result) if cell is not None else None,
            "study": str(study) if study is not None else None,
            "reason": reason if value is None else None,
        }

    def _record(self, study: Study) -> None:
        """Write what is known so far, so that a search that is stopped has said it."""
        folder = Path(str(self.config.hydra.sweep.dir))
        done = [trial for trial in self.trials if trial["value"] is not None]
        choose = max if self.direction == "maximize" else min
        best = choose(done, key=lambda trial: trial["value"], default=None)
        write_json(folder / SEARCH, {"trials": self.trials, "best": best})
        if best is not None:
            found = {"best_params": best["params"], "best_value": best["value"]}
            save_config({"name": "optuna", **found}, folder / BEST)


def list_words(params: Mapping[str, object] | None, arguments: Sequence[str]) -> list[str]:
    """The overrides of a config, then those of the command line."""
    return [*(f"{key}={value}" for key, value in (params or {}).items()), *arguments]


def make_sampler(settings: Mapping[str, object]) -> BaseSampler:
    """The sampler of Optuna that settings name."""
    from optuna import samplers

    made: BaseSampler = getattr(samplers, SAMPLERS[str(settings["name"])])(seed=settings["seed"])
    return made


def read_search(folder: Path) -> JsonObject:
    """What a search has recorded."""
    record: JsonObject = json.loads((folder / SEARCH).read_text(encoding="utf-8"))
    return record


def describe_search(folder: Path, record: JsonObject) -> str:
    """Where a search has left what it tried, and the overrides of the best trial."""
    if (best := record["best"]) is None:
        return f"{folder / SEARCH}: no trial measured anything"
    named = " ".join(f"{key}={value}" for key, value in best["params"].items())
    return f"{folder / SEARCH}: best {best['value']:.4f} by trial {best['trial']}: {named}"

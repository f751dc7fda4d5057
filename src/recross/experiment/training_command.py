"""The training of an experiment without the rest."""

from __future__ import annotations

import json
from dataclasses import dataclass

from recross.errors import InputError
from recross.experiment.combination import Combination, find_dev_measure
from recross.experiment.origin import describe_origin
from recross.experiment.place import Place
from recross.parts.identity import describe
from recross.records import JsonObject
from recross.store import write_json
from recross.writing.progress import Stages


@dataclass(frozen=True)
class CheckpointTraining(Combination):
    """The training of an experiment without the rest; ``run`` returns the record of it."""

    @property
    def place(self) -> Place:
        """Its files in the experiment's folder; the record of a finished experiment stays."""
        return Place(
            result=self.folder / "checkpoint",
            config=self.folder / "config.yaml",
            failure=self.folder / "training.failed.json",
            lock=self.lock,
            account=self.folder / "training.json",
        ).on_node(self.hardware)

    @property
    def summary(self) -> str:
        """One line that says where the checkpoint lies."""
        return f"wrote {self.place.result}"

    def run(self) -> JsonObject:
        """Train; returns what training took.

        Raises:
            InputError: the re-ranker has no network to train, or training is ``none``.
        """
        if not self.hardware.is_first_node:
            return self.take_part(self.place)
        with self.place.alone():
            return self._train_alone()

    def measure_dev(self) -> float | None:
        """The measure of the checkpoint that was chosen."""
        path = self.folder / "training.json"
        return find_dev_measure(json.loads(path.read_text(encoding="utf-8"))["training"])

    def _train_alone(self) -> JsonObject:
        self.check_networks()
        log = self.open_log()
        with Stages(["collection", "training"]) as stages:
            stages.begin("collection")
            collection = self.collection.load()
            stages.begin("training")
            _, training = self.train(collection, log)
        if not training:
            raise InputError(
                "reranker and training must be trainable and not none,"
                f" got {type(self.reranker).__name__} and {type(self.training).__name__}"
            )
        log.finish({"training": training})
        write_json(
            self.folder / "training.json",
            {
                **describe_origin(collection, self.train_split),
                "parts": describe(self),
                "training": training,
            },
        )
        return training

"""What loss, network, groups and hardware ask of each other, checked before any work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from recross.errors import InputError
from recross.machine.hardware import Hardware
from recross.training.data.phases import Phase
from recross.training.main_module import check_guarded
from recross.training.recipe import TrainingPlan

if TYPE_CHECKING:
    from recross.inference.network import Network

FEW_GROUPS = 64
"""A step of a tiny collection may read all its groups more than once, up to so many."""


def check_processes(hardware: Hardware) -> None:
    """Refuse to keep a part of anything where one process trains: nobody keeps the others.

    Raises:
        InputError: ``shards`` names something for a single process.
    """
    if hardware.shards != "nothing" and hardware.processes == 1:
        raise InputError(
            "hardware.shards must be nothing where fewer than two processes train together"
            f" (hardware.devices times hardware.nodes), got {hardware.shards!r} with one"
        )


def check_plan(plan: TrainingPlan, network: Network, hardware: Hardware) -> None:
    """Refuse what cannot be trained whatever the groups, before any is made.

    Raises:
        InputError: loss, network and hardware do not go together, the network's layers are not
            known, its activations cannot be recomputed, or a script trains on several devices
            outside of its guard.
    """
    from recross.training.data.in_batch import learns_across

    training, loss = plan.training, plan.loss
    check_guarded(hardware.processes)
    check_processes(hardware)
    if training.batch_size % hardware.processes:
        times = "" if hardware.nodes == 1 else f" times hardware.nodes={hardware.nodes}"
        raise InputError(
            f"training.batch_size must be a multiple of hardware.devices={hardware.devices}{times},"
            f" got {training.batch_size}"
        )
    if hardware.precision == "fp16":
        raise InputError("hardware.precision must be fp32 or bf16 in training, got 'fp16'")
    if loss.reads_answers and not network.answer_count:
        raise InputError(
            f"loss must be one over scores for a network with a single output, got"
            f" {type(loss).__name__}, which needs the logits of two answers or more"
        )
    _ = network.layers  # an unknown architecture fails here
    if training.gradient_checkpointing:
        network.family.check_recompute(network.model)
    if learns_across(network) and training.first_stage_weight:
        raise InputError(
            "training.first_stage_weight must be 0 for in-batch negatives, which no first stage"
            f" scored, got {training.first_stage_weight}"
        )


def check_groups(plan: TrainingPlan, phases: Sequence[Phase]) -> None:
    """Refuse groups that are too few, or lack the scores that the plan learns from.

    Raises:
        InputError: a step would read some groups again and again, or a teacher's scores, or a
            single first stage's, are missing.
    """
    fewest = min(len(phase.groups) for phase in phases if phase.share)
    if plan.training.batch_size > max(fewest, FEW_GROUPS):
        raise InputError(
            f"training.batch_size must be at most the number of training groups ({fewest}),"
            f" or {FEW_GROUPS}, got {plan.training.batch_size}"
        )
    learned = [phase.groups for phase in phases if phase.share and plan.teacher is None]
    untaught = sum(groups.untaught for groups in learned) if plan.loss.learns_from_teacher else 0
    if untaught:
        raise InputError(
            "loss must be one over labels for groups without teacher_scores, got"
            f" {type(plan.loss).__name__}, which learns from a teacher, and {untaught} groups"
            " without: let a teacher score them, or choose another loss, such as listwise"
        )
    weight = plan.training.first_stage_weight
    every = (group for phase in phases for group in phase.groups.groups)
    if weight and any(group.first_stage_scores is None for group in every):
        raise InputError(
            "training.first_stage_weight must be 0 for negatives of several sources, whose scores"
            f" cannot be compared, got {weight}"
        )

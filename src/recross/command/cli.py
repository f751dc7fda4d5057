"""The console script: which command the words ask for, and how it ends."""

from __future__ import annotations

import importlib.metadata
import os
import sys
from collections.abc import Sequence
from functools import partial

from recross.command.catalogue import COMMANDS
from recross.command.failures import DEBUG, check_surroundings, guard, set_variable
from recross.command.interruption import turn_signals_into_interruptions
from recross.command.messages import send_messages_to_stderr
from recross.command.output import deliver_output, prepare_streams
from recross.command.plain_commands import PLAIN_COMMANDS, say
from recross.errors import InputError
from recross.parts.closest import say_unknown
from recross.writing.progress import working

USAGE = """usage: recross COMMAND [arguments]

experiments (Hydra overrides; -m sweeps, --config-dir DIR adds your own configs; --from FILE begins
with the config.yaml that lies beside a result, instead of the shipped one)
  run        one experiment, or a named study:  recross run experiment=performance_table
  retrieve   the first stage only, writes a TREC run
  mine       negatives for trainings, which find them in the store
  train      up to the checkpoint
  rerank     re-rank any TREC run:  recross rerank reranker=minilm_l6 candidates=bm25.trec
  choose     which to use, measured:  recross choose reranker=A,B hardware=cpu,cpu_int8 within_ms=50
results
  evaluate   measures of run files, with significance:  recross evaluate RUN... --qrels FILE
  status     how far a sweep is, wherever its cells run:  recross status STUDY
  table      collate finished experiments:  recross table DIR... [--check against references]
  compare    rows of tables with each other:  recross compare DIR... --rows ROW...
  pack       a trained checkpoint as a small difference:  recross pack FOLDER --to DIR
  push       a trained checkpoint to a hub:  recross push FOLDER --to USER/NAME [--dry-run]
  export     a cross-encoder as an ONNX file, compared first:  recross export FOLDER --to DIR
about
  options    what every group offers, or one:  recross options reranker plugins=[my_package]
  contracts  what published checkpoints are asked, how they are read, and their published numbers
  parity     whether a served model scores as one here:  recross parity reranker.base_url=URL ...
  doctor     what this machine has, and what is missing for which option
  store      what the store holds; is it sound; what can go:  recross store list|verify|gc|why
  cache      what the score cache holds; forget it; check it:  recross cache stats|clear|verify
  completion tab completion:  recross completion install [bash|zsh|fish]

--version says which recross this is
--debug, or RECROSS_DEBUG=1 in the environment, shows where an error came from
RECROSS_PROGRESS=off says nothing of work that goes on
"""

WORK = {
    **dict.fromkeys(COMMANDS, "composing its values"),
    "evaluate": "reading runs and comparing them",
    "table": "reading results and comparing them",
    "compare": "reading results and comparing them",
    "options": "reading options",
    "contracts": "reading contracts",
    "parity": "loading what is compared",
    "pack": "comparing weights",
    "export": "loading, writing and comparing",
    "doctor": "looking at this machine",
    "cache": "reading what is kept",
    "store": "reading what is kept",
    "status": "reading what is finished",
    "completion": "looking for what fits",
    "push": "reading the checkpoint",
}
"""What each command does while nothing within it says more."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, and return its exit code.

    0 done, 1 a check or a cell of a sweep failed or the machine stopped it, 2 the input was wrong,
    70 a fault of recross itself; 128 and the signal's number where a signal ended it, as 130.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    prepare_streams()
    send_messages_to_stderr()
    with (
        turn_signals_into_interruptions(),
        set_variable(DEBUG, "1" if "--debug" in words else os.environ.get(DEBUG)),
    ):
        return guard(partial(_run, [word for word in words if word != "--debug"]))


def _run(words: Sequence[str]) -> int:
    check_surroundings(words)
    with deliver_output():
        known = [*COMMANDS, *PLAIN_COMMANDS]
        if not words:
            raise InputError(f"command must be one of {', '.join(known)}, got none")
        if words[0] in ("-h", "--help"):
            say(USAGE)
            return 0
        if words[0] == "--version":
            say(f"recross {importlib.metadata.version('recross')}")
            return 0
        command, rest = words[0], words[1:]
        try:
            doing = f"recross {command}"
            with working(f"{doing}, {WORK.get(command, '')}", then=doing):
                if command in COMMANDS:
                    from recross.command.launching import launch

                    return launch(command, rest)
                if command in PLAIN_COMMANDS:
                    return PLAIN_COMMANDS[command](rest)
        except SystemExit as stop:  # of an argument parser, which has said why
            return stop.code if isinstance(stop.code, int) else 0
        raise InputError(say_unknown("command", command, known))
    raise AssertionError("every way out is above")

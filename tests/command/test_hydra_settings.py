"""What a folder of configs says to Hydra itself is checked before Hydra reads it."""

import os
from pathlib import Path

import pytest

from recross.command.cells import check_cells
from recross.command.cli import main
from recross.command.hydra_settings import find_setting_problems
from recross.errors import ConfigError

STUDY = """# @package _global_
hydra:
  callbacks:
    copy:
      _target_: shutil.copy
      src: {precious}
      dst: {copied}
"""


def test_a_study_of_somebody_else_calls_nothing(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "theirs" / "experiment"
    folder.mkdir(parents=True)
    (tmp_path / "precious").write_text("mine")
    copied = tmp_path / "copied"
    (folder / "study.yaml").write_text(
        STUDY.format(precious=tmp_path / "precious", copied=copied), encoding="utf-8"
    )
    words = ["retriever=bm25", "reranker=none", "--config-dir", str(tmp_path / "theirs")]
    for sweep in ([], ["-m"]):
        assert main(["run", *sweep, "experiment=study", *words]) == 2
        assert "hydra.callbacks: must be empty" in caplog.text
        assert not copied.exists()
        caplog.clear()


ROW = """# @package _global_
hydra:
  job_logging:
    version: 1
    handlers: {{file: {{class: logging.FileHandler, filename: {log}, mode: w}}}}
    root: {{handlers: [file]}}
"""


def test_a_cell_of_a_sweep_is_checked_as_the_first_is(tmp_path):
    folder = tmp_path / "row"
    folder.mkdir()
    log = tmp_path / "log"
    log.write_text("precious")
    (folder / "odd.yaml").write_text(ROW.format(log=log), encoding="utf-8")
    with pytest.raises(
        ConfigError, match=r"hydra.job_logging.handlers.file.class: must be a class"
    ):
        check_cells("run", ["retriever=bm25", "reranker=none", "row=bm25,odd"], True, str(tmp_path))
    assert log.read_text() == "precious"


def test_a_variable_of_the_environment_is_read_unless_it_is_a_secret(monkeypatch):
    monkeypatch.setenv("STUDY", "here")
    monkeypatch.setenv("MY_API_KEY", "abc")
    (cell,), *_ = check_cells("run", ["study=${oc.env:STUDY}"], False, None)
    assert cell.place.study == Path("outputs/here")
    with pytest.raises(ConfigError, match="oc.env must not read a secret") as raised:
        check_cells("run", ["study=${oc.env:MY_API_KEY}"], False, None)
    assert "abc" not in str(raised.value)
    assert os.environ["MY_API_KEY"] == "abc"


@pytest.mark.parametrize(
    "flag", ["--experimental-rerun=x.pickle", "--config-path=/", "--config-name=x", "--multi", "-x"]
)
def test_flags_of_hydra_that_run_other_things_are_refused(flag, caplog):
    assert main(["run", flag]) == 2
    assert "flags must be one of --multirun, --config-dir" in caplog.text


def test_no_command_and_no_folder_of_configs_are_one_error(caplog):
    assert main([]) == 2
    assert "command must be one of run, retrieve" in caplog.text
    assert main(["run", "--config-dir", "missing"]) == 2
    assert "--config-dir must be a folder, got 'missing'" in caplog.text
    assert main(["run", "--config-dir"]) == 2
    assert "--config-dir" in caplog.records[-1].message


SETTINGS = {
    "launcher": {"_target_": "hydra._internal.core_plugins.basic_launcher.BasicLauncher"},
    "sweeper": {"_target_": "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"},
    "callbacks": {},
    "job_logging": None,
    "hydra_logging": {"version": 1, "root": None},
    "output_subdir": None,
    "run": {"dir": "."},
    "sweep": {"dir": "outputs/x", "subdir": "."},
    "job": {"chdir": None, "env_set": {}},
    "overrides": {"hydra": ["hydra.launcher.setup=[module load cuda]"], "task": []},
}


@pytest.mark.parametrize(
    "key, node, problem",
    [
        ("job_logging", {"filters": {"x": {"()": "os.system"}}}, "hydra.job_logging.filters.x.()"),
        ("job_logging", {"formatters": {"x": {"()": "a.b"}}}, "hydra.job_logging.formatters.x.()"),
        ("job_logging", {"handlers": {"x": {".": {"a": 1}}}}, "hydra.job_logging.handlers.x.."),
        ("hydra_logging", {"x": ["cfg://handlers"]}, "hydra.hydra_logging.x[0]"),
        ("job_logging", "${elsewhere}", "hydra.job_logging: must be a mapping or null"),
        ("callbacks", "${elsewhere}", "hydra.callbacks: must be empty"),
        ("launcher", "${elsewhere}", "hydra.launcher._target_: must be one of"),
        ("launcher", {"_target_": "${elsewhere}"}, "hydra.launcher._target_: must be one of"),
        ("help", {"app": [{"_target_": "os.system"}]}, "hydra.help.app[0]._target_: must not be"),
        ("job", {"env_set": {"PATH": "."}}, "hydra.job.env_set: must not set PATH"),
        ("job", {"env_set": {"A_TOKEN": "abc"}}, "hydra.job.env_set.A_TOKEN: must hold no secret"),
    ],
)
def test_what_calls_code_is_named_wherever_it_stands(key, node, problem):
    assert list(find_setting_problems(SETTINGS, "outputs")) == []
    (found, *_) = find_setting_problems({**SETTINGS, key: node}, "outputs")
    assert found.startswith(problem)
    assert "abc" not in found


def test_commands_of_a_cluster_come_from_who_starts_them():
    slurm = "hydra_plugins.hydra_submitit_launcher.submitit_launcher.SlurmLauncher"
    launcher = {"_target_": slurm, "setup": ["module load cuda"]}
    assert list(find_setting_problems({**SETTINGS, "launcher": launcher}, "outputs")) == []
    theirs = {**SETTINGS, "launcher": launcher, "overrides": {"hydra": [], "task": []}}
    (problem,) = find_setting_problems(theirs, "outputs")
    assert problem.startswith("hydra.launcher.setup: must be given on the command line")


def test_info_of_hydra_is_told_once(capsys):
    assert main(["run", "--info", "searchpath"]) == 0
    assert capsys.readouterr().out.count("| main     |") == 1


def test_a_pattern_chooses_options_and_must_match_one(monkeypatch, tmp_path, caplog):
    monkeypatch.chdir(tmp_path)
    words = ["retriever=glob(bm*)", "reranker=glob(choice_of_nothing*)"]
    assert main(["run", "-m", *words]) == 2
    assert "reranker: must match an option of this group, got" in caplog.text
    found = check_cells("run", [words[0], "reranker=none"], True, None)
    (cell,) = found.commands
    assert type(cell.retriever).__name__ == "BM25"
    assert (found.is_sweep, found.search) == (True, None)

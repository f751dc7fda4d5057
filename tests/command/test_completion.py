"""Tab completion, asked as the shell's script asks for it."""

import os
import stat
import subprocess
import sys

import pytest

from recross.command.cli import main
from recross.command.completion import install_script, list_candidates
from recross.errors import InputError


@pytest.mark.parametrize(
    "line, some",
    [
        ("recross ", {"run", "retrieve", "table", "options"}),
        ("recross re", {"retrieve", "rerank"}),
        ("recross run rera", {"reranker=", "reranker."}),
        ("recross run reranker=embedded_l", {"reranker=embedded_l2", "reranker=embedded_l6"}),
        ("recross run -m reranker=none,embedded_l", {"reranker=none,embedded_l2"}),
        ("recross run training=smoke training.ste", {"training.steps="}),
        ("recross run training=smoke training.steps=", {"training.steps=2"}),
        ("recross run hydra/launcher=pro", {"hydra/launcher=processes"}),
        ("recross options rer", {"reranker"}),
    ],
)
def test_a_line_goes_on_with_what_the_configs_offer(line, some):
    assert some <= set(list_candidates(line))


def test_a_line_that_cannot_go_on_has_no_candidates():
    assert list_candidates("recross unknown x") == []
    assert list_candidates("recross run 'reranker=[ train") == []


def test_options_of_an_own_folder_are_offered(tmp_path):
    (tmp_path / "reranker").mkdir()
    (tmp_path / "reranker" / "mine_alone.yaml").write_text("defaults: [embedded_l2]\n")
    line = f"recross run --config-dir {tmp_path} reranker=mine"
    assert list_candidates(line) == ["reranker=mine_alone"]


def test_bash_completes_in_place(tmp_path):
    assert install_script("bash", tmp_path).startswith("wrote ")
    install_script("bash", tmp_path)
    bashrc = (tmp_path / ".bashrc").read_text()
    assert bashrc.count("source ") == 1
    recross = tmp_path / "bin" / "recross"
    recross.parent.mkdir()
    recross.write_text(f'#!/bin/sh\nexec {sys.executable} -m recross "$@"\n')
    recross.chmod(recross.stat().st_mode | stat.S_IXUSR)
    line = "recross run reranker=embedded_l2 training=smo"
    script = f"""{bashrc}
COMP_LINE="{line}"; COMP_POINT={len(line)}; COMP_WORDBREAKS=$' \\t\\n"><=;|&(:'
_recross; printf '%s\\n' "${{COMPREPLY[@]}}" """
    environment = {**os.environ, "PATH": f"{recross.parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["smoke"]  # bash puts it behind the last "="


def test_an_unknown_shell_is_refused(tmp_path):
    with pytest.raises(InputError, match="shell must be one of bash, zsh, fish, got 'tcsh'"):
        install_script("tcsh", tmp_path)


def test_one_command_installs_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SHELL", "/usr/bin/fish")
    assert main(["completion", "install"]) == 0
    script = tmp_path / ".config" / "fish" / "completions" / "recross.fish"
    assert str(script) in capsys.readouterr().out
    assert "recross completion query" in script.read_text()

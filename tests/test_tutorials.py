"""The tutorials: a page shows what its script does, and every script gets its result."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TUTORIALS = Path(__file__).parents[1] / "docs" / "tutorials"
SHARED = {"counted.sh", "make_collection.py"}
SCRIPTS = sorted(
    path.name
    for path in TUTORIALS.iterdir()
    if path.suffix in (".sh", ".py") and path.name not in SHARED
)


def read_page(script):
    return (TUTORIALS / script).with_suffix(".md").read_text(encoding="utf-8")


def read_script(script):
    """The script, with the default in place of a variable: ``${NAME:-300}`` is 300."""
    text = (TUTORIALS / script).read_text(encoding="utf-8")
    return re.sub(r"\$\{[A-Z_]+:-(\d+)\}", r"\1", text)


def test_there_is_a_page_for_every_script():
    assert len(SCRIPTS) == 5
    for script in SCRIPTS:
        assert f"[{script}]({script})" in read_page(script)


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_page_shows_the_commands_of_its_script(script):
    blocks = re.findall(r"^```bash\n(.*?)^```", read_page(script), flags=re.M | re.S)
    shown = [line for block in blocks for line in block.splitlines() if line]
    text = read_script(script)
    assert [line for line in shown if line not in text] == []
    ran = [line for line in text.splitlines() if line.startswith("recross ")]
    assert [line for line in ran if line not in shown] == []


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_page_shows_code_that_its_script_has(script):
    blocks = re.findall(r"^```(?:py|yaml)\n(.*?)^```", read_page(script), flags=re.M | re.S)
    known = {line.strip() for line in read_script(script).splitlines()} | {"...", ""}
    shown = [line.strip() for block in blocks for line in block.splitlines()]
    assert [line for line in shown if line not in known] == []


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_page_says_what_it_took(script):
    took = read_page(script).rstrip().rpartition("\n\n")[2]
    assert re.match(r"It took \d+ (commands|calls) and \d+ seconds of processor time", took)


@pytest.mark.ci
@pytest.mark.timeout(1800)  # two minutes on two quiet cores
@pytest.mark.parametrize("script", SCRIPTS)
def test_a_tutorial_ends_with_the_result_that_was_wanted(script, tmp_path):
    if script.startswith("hydra_and_wandb"):
        for extra in ("optuna", "wandb"):
            pytest.importorskip(extra, reason=f"the extra {extra} is not installed")
    scripts = Path(sys.executable).parent
    if shutil.which("recross", path=scripts) is None:
        pytest.skip("the console script is not installed")
    environment = {
        **os.environ,
        "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
        "WITHIN_MS": "60000",  # of a query, on a machine that may be busy
    }
    language = "bash" if script.endswith(".sh") else sys.executable
    done = subprocess.run(
        [language, str(TUTORIALS / script)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout.splitlines()[-1]
    assert said.startswith(f"{Path(script).stem}: ")
    assert re.search(r"\d+ (commands|calls) of recross, \d+ seconds", said)

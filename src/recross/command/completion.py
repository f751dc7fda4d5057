"""Tab completion: what a command line may go on with, and the script that asks for it."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.plugins.completion_plugin import CompletionPlugin, DefaultCompletionPlugin

from recross.command.catalogue import COMMANDS, find_config_folder, list_options
from recross.command.composition import find_extra_folders
from recross.errors import InputError
from recross.writing.whole_files import write_whole

BASH = r"""# tab completion of recross, written by: recross completion install bash
_recross() {
    local line=${COMP_LINE:0:COMP_POINT} IFS=$'\n' sign reply
    local word=${line##*[[:space:]]} rest
    rest=$word
    for sign in = : @; do  # bash completes what follows the last of these
        [[ $COMP_WORDBREAKS == *"$sign"* ]] && rest=${rest##*"$sign"}
    done
    COMPREPLY=()
    for reply in $(recross completion query "$line" 2>/dev/null); do
        COMPREPLY+=("${reply#"${word%"$rest"}"}")
    done
    if [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *[=./] ]]; then compopt -o nospace; fi
}
complete -o default -F _recross recross
"""
ZSH = r"""# tab completion of recross, written by: recross completion install zsh
autoload -Uz compinit && compinit -C
_recross() {
    local -a found
    found=("${(@f)$(recross completion query "$LBUFFER" 2>/dev/null)}")
    [[ -n $found ]] && compadd -Q -S '' -- $found || _files
}
compdef _recross recross
"""
FISH = r"""# tab completion of recross, written by: recross completion install fish
complete -c recross -a '(recross completion query (commandline -cp))'
"""
_SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}
STARTED_BY = {"bash": ".bashrc", "zsh": ".zshrc"}
"""Files that a shell reads when it starts; fish finds its own."""


def complete_or_install(words: Sequence[str]) -> str:
    """What ``recross completion`` says: candidates for a line, or where the script now lies."""
    parser = argparse.ArgumentParser(prog="recross completion")
    parser.add_argument("action", choices=["install", "query"])
    parser.add_argument("what", nargs="?", help="install: bash, zsh, fish; default: your shell")
    asked = parser.parse_args(words)
    if asked.action == "query":
        return "\n".join(list_candidates(asked.what or ""))
    return install_script(asked.what or Path(os.environ.get("SHELL", "bash")).name, Path.home())


def install_script(shell: str, home: Path) -> str:
    """Write the script of a shell, and have the shell read it when it starts.

    Raises:
        InputError: there is no script for the shell.
    """
    if shell not in _SCRIPTS:
        raise InputError(f"shell must be one of {', '.join(_SCRIPTS)}, got {shell!r}")
    folder = home / (".config/fish/completions" if shell == "fish" else ".local/share/recross")
    path = folder / ("recross.fish" if shell == "fish" else f"completion.{shell}")
    write_whole(path, _SCRIPTS[shell])
    if shell in STARTED_BY:
        start, line = home / STARTED_BY[shell], f'source "{path}"'
        text = start.read_text(encoding="utf-8") if start.is_file() else ""
        if line not in text.splitlines():
            with start.open("a", encoding="utf-8") as file:
                file.write(f"{'' if text.endswith(chr(10)) or not text else chr(10)}{line}\n")
    return f"wrote {path}; new shells complete recross"


def list_candidates(line: str) -> list[str]:
    """What the last word of a line may become: commands, groups, options, keys, values, files."""
    from recross.command.plain_commands import PLAIN_COMMANDS

    words = line.split()
    last = words[-1] if words and not line.endswith((" ", "\t")) else ""
    before = words[1 : len(words) - bool(last)]
    if not before:
        return sorted(name for name in (*COMMANDS, *PLAIN_COMMANDS) if name.startswith(last))
    if before[0] == "options":
        return [group for group in list_options() if group.startswith(last)]
    if before[0] not in COMMANDS:
        return []
    try:
        return _list_overrides(before[0], before[1:], last)
    except (ValueError, SystemExit, HydraException):  # of a line that is no command yet
        return []


def _list_overrides(command: str, before: list[str], last: str) -> list[str]:
    """What Hydra completes a word to; of a sweep's values, the one behind the last comma."""
    flags = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    flags.add_argument("--config-dir", "-cd")
    known, words = flags.parse_known_args(before)
    words = [word for word in words if "=" in word and word.partition("=")[2]]
    key, sign, values = last.partition("=")
    earlier, comma, value = values.rpartition(",")
    folders = find_extra_folders(words, known.config_dir)
    searched = ",".join(f"'file://{folder}'" for folder in folders)
    with initialize_config_dir(str(find_config_folder()), version_base="1.3"):
        plugin: CompletionPlugin = DefaultCompletionPlugin(GlobalHydra.instance().config_loader())
        told = [f"hydra.searchpath=[{searched}]"] if folders else []
        found: list[str] = plugin._query(command, " ".join([*told, *words, f"{key}{sign}{value}"]))
    begin = f"{key}{sign}"
    return [
        f"{begin}{earlier}{comma}{held.removeprefix(begin)}" if comma else held for held in found
    ]

"""``growsearch completion SHELL``: what a shell has to source to complete commands and options.

Written by hand: generators such as shtab write fixed scripts, and what completes an override is known to Hydra alone.
"""

import argparse
import io
import os
import sys
from contextlib import redirect_stdout

from growsearch.cli.arguments import Arguments
from growsearch.errors import UserError

BASH = """\
_growsearch() {
    local line="${COMP_LINE:0:COMP_POINT}" index
    local word="${line##* }"
    mapfile -t COMPREPLY < <(growsearch completion --query "$line" 2>/dev/null)
    # Where = breaks words, bash replaces only what follows the last one.
    if [[ $COMP_WORDBREAKS == *=* ]]; then
        local kept="${word%"${word##*=}"}"
        COMPREPLY=("${COMPREPLY[@]#"$kept"}")
    fi
    for index in "${!COMPREPLY[@]}"; do
        [[ ${COMPREPLY[index]} == *[=./] ]] || COMPREPLY[index]+=" "
    done
}
complete -o nospace -o default -F _growsearch growsearch
"""

ZSH = """\
_growsearch() {
    local -a found
    found=("${(@f)$(growsearch completion --query "${LBUFFER}" 2>/dev/null)}")
    found=(${found:#})
    if (( ${#found} )); then
        compadd -S '' -- $found
    else
        _files
    fi
}
compdef _growsearch growsearch
"""

FISH = """\
function __growsearch_complete
    set -l found (growsearch completion --query (commandline -cp | string collect) 2>/dev/null | string match -v '')
    if test (count $found) -gt 0
        printf '%s\\n' $found
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c growsearch -f -a '(__growsearch_complete)'
"""

SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}

HOW = """\
put the line of your shell into its start-up file:
  bash   source <(growsearch completion bash)
  zsh    source <(growsearch completion zsh)      (after compinit)
  fish   growsearch completion fish | source
"""

DATA_ACTIONS = ("get", "check", "ls")


def main(argv: list[str]) -> int:
    """Print a shell's script, or answer the question that such a script asks."""
    parser = Arguments(
        "growsearch completion", description="Make a shell complete commands, groups, choices and options.", epilog=HOW
    )
    parser.add_argument("shell", nargs="?", choices=sorted(SCRIPTS))
    parser.add_argument("--query", metavar="LINE", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.query is not None:
        print("\n".join(candidates(options.query)))
        return 0
    if options.shell is None:
        parser.error("name a shell: bash, zsh or fish")
    print(SCRIPTS[options.shell], end="")
    return 0


def candidates(line: str) -> list[str]:
    """Words that could stand where the cursor is, at the end of ``line``; none where a file name would."""
    from growsearch.cli import COMMANDS

    words = line.split()[1:]
    if not words or line[-1:].isspace():
        words.append("")
    *before, word = words
    if not before:
        return [name for name in COMMANDS if name.startswith(word)]
    if before[0] in ("run", "validate"):
        return _overrides([*before[1:], word])
    known = _arguments(before)
    if before[0] == "data" and len(before) > 1 and (before[1] != "ls" and "." in word):
        return _overrides([f"data={name}" for name in before[2:3]] + [word])
    return [name for name in known if name.startswith(word)]


def _arguments(before: list[str]) -> list[str]:
    if before == ["completion"]:
        return sorted(SCRIPTS)
    if before[0] == "ls":
        from growsearch.cli.ls import GROUPS

        return list(GROUPS)
    if before[0] == "explain":
        from growsearch.config import all_entries

        return list(all_entries())
    if before == ["data"]:
        return list(DATA_ACTIONS)
    if before[0] == "data":
        from growsearch.data.registry import names

        return [*names(), "data."]
    return []


def _overrides(words: list[str]) -> list[str]:
    """Ask Hydra, which knows groups, choices and keys; it takes the line without our command's name."""
    import hydra

    from growsearch.cli.compose import CONFIG_PATH, VERSION_BASE
    from growsearch.cli.ls import GROUPS, choices
    from growsearch.config import register

    register()
    argv, sys.argv = sys.argv, ["growsearch", "-sc", "query=bash"]
    os.environ["COMP_LINE"] = " ".join(["growsearch", *words])
    said = io.StringIO()
    try:
        with redirect_stdout(said):
            hydra.main(version_base=VERSION_BASE, config_path=CONFIG_PATH, config_name="config")(lambda _: None)()
    except (Exception, SystemExit) as error:
        raise UserError(f"completion: no answer to {words} ({error})") from error
    finally:
        sys.argv = argv
    found = {each for each in said.getvalue().split() if not each.rpartition("=")[2].startswith("base_")}
    group, equals, start = words[-1].partition("=")
    if equals and group in GROUPS:  # Hydra looks into no folder below a group
        found |= {f"{group}={name}" for name in choices(group) if name.startswith(start)}
    return sorted(found)

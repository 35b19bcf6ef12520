"""`tank completion SHELL`: a script for bash, zsh or fish, made from the verbs' own parsers.

Commands and flags stand in the script; the names of pods are asked of the daemon when they are needed.
"""

from __future__ import annotations

import argparse
from importlib import import_module

from tank.cli.main import VERBS, parser_of

SHELLS = ("bash", "zsh", "fish")
NAMED = ("name", "names")


def add(parser: argparse.ArgumentParser) -> None:
    """The shell."""
    parser.add_argument("shell", choices=SHELLS, help="source <(tank completion bash)")


def run(options: argparse.Namespace) -> int:
    """Print the script."""
    print({"bash": bash, "zsh": zsh, "fish": fish}[options.shell](), end="")
    return 0


def flags() -> dict[str, list[argparse.Action]]:
    """Each verb's flags and arguments."""
    found = {}
    for verb in VERBS:
        module = import_module(f"tank.cli.{verb}")
        found[verb] = list(parser_of(verb, module)._actions)  # argparse has no other way to ask
    return found


def bash() -> str:
    """For bash."""
    cases = "\n".join(f"        {verb}) words='{' '.join(_words(actions))}' ;;" for verb, actions in flags().items())
    pods = "|".join(verb for verb, actions in flags().items() if _takes_pods(actions))
    return f"""# bash completion of tank: source <(tank completion bash)
_tank() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} verb= words= index
    for ((index = 1; index < COMP_CWORD; index++)); do
        case ${{COMP_WORDS[index]}} in
        --host | -o | --output) ((index++)) ;;
        -*) ;;
        *) verb=${{COMP_WORDS[index]}}; break ;;
        esac
    done
    case ${{COMP_WORDS[COMP_CWORD - 1]}} in
    -o | --output) COMPREPLY=($(compgen -W "table wide json yaml name" -- "$current")); return ;;
    --for) COMPREPLY=($(compgen -W "ready running succeeded failed gone" -- "$current")); return ;;
    -f | --file | --config) COMPREPLY=($(compgen -f -- "$current")); return ;;
    esac
    if [[ -z $verb ]]; then
        COMPREPLY=($(compgen -W "{" ".join(VERBS)}" -- "$current"))
        return
    fi
    if [[ $current == -* ]]; then
        case $verb in
{cases}
        esac
        COMPREPLY=($(compgen -W "$words" -- "$current"))
        return
    fi
    case $verb in
    {pods}) COMPREPLY=($(compgen -W "$(tank list -o name 2>/dev/null)" -- "$current")) ;;
    completion) COMPREPLY=($(compgen -W "{" ".join(SHELLS)}" -- "$current")) ;;
    esac
}}
complete -o default -F _tank tank
"""


def zsh() -> str:
    """For zsh."""
    verbs = "\n".join(f"        '{verb}:{_zsh(summary)}'" for verb, summary in VERBS.items())
    table = flags()
    cases = "\n".join(f"    {verb})\n        flags=({' '.join(_words(actions))}) ;;" for verb, actions in table.items())
    pods = "|".join(verb for verb, actions in table.items() if _takes_pods(actions))
    return f"""#compdef tank
# zsh completion of tank: tank completion zsh > "${{fpath[1]}}/_tank"
_tank() {{
    local -a verbs flags pods
    verbs=(
{verbs}
    )
    if (( CURRENT == 2 )); then
        _describe command verbs
        return
    fi
    case $words[CURRENT-1] in
    -o|--output) compadd table wide json yaml name; return ;;
    --for) compadd ready running succeeded failed gone; return ;;
    -f|--file|--config) _files; return ;;
    esac
    case $words[2] in
{cases}
    esac
    if [[ $words[CURRENT] == -* ]]; then
        compadd -- $flags
        return
    fi
    case $words[2] in
    {pods}) pods=(${{(f)"$(tank list -o name 2>/dev/null)"}}); compadd -- $pods ;;
    completion) compadd {" ".join(SHELLS)} ;;
    *) _files ;;
    esac
}}
compdef _tank tank
"""


def fish() -> str:
    """For fish."""
    lines = ["# fish completion of tank: tank completion fish | source", "complete -c tank -f"]
    table = flags()
    for verb, summary in VERBS.items():
        lines.append(f"complete -c tank -n __fish_use_subcommand -a {verb} -d '{_fish(summary)}'")
    pods = " ".join(verb for verb, actions in table.items() if _takes_pods(actions))
    lines.append(f"complete -c tank -n '__fish_seen_subcommand_from {pods}' -a '(tank list -o name 2>/dev/null)'")
    lines.append(f"complete -c tank -n '__fish_seen_subcommand_from completion' -a '{' '.join(SHELLS)}'")
    for verb, actions in table.items():
        lines += [line for action in actions if (line := _fish_flag(verb, action))]
    return "\n".join(lines) + "\n"


def _fish_flag(verb: str, action: argparse.Action) -> str:
    if not action.option_strings or action.help == argparse.SUPPRESS:
        return ""
    named = " ".join(f"-l {text[2:]}" if text.startswith("--") else f"-s {text[1:]}" for text in action.option_strings)
    takes = "" if action.nargs == 0 else " -r -F" if action.dest in ("files", "config") else " -x"
    values = f" -a '{' '.join(map(str, action.choices))}'" if action.choices else ""
    about = f" -d '{_fish(action.help or '')}'"
    return f"complete -c tank -n '__fish_seen_subcommand_from {verb}' {named}{takes}{values}{about}"


def _words(actions: list[argparse.Action]) -> list[str]:
    return [text for action in actions for text in action.option_strings]


def _takes_pods(actions: list[argparse.Action]) -> bool:
    return any(action.dest in NAMED and not action.option_strings for action in actions)


def _zsh(text: str) -> str:
    return text.replace("'", "'\\''").replace(":", "\\:")


def _fish(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")

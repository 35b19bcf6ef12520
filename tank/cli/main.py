"""The entry: finds the verb, imports its file and no other, and turns errors into exit codes.

Exit codes: 0 done, 1 failed, 2 bad usage or bad spec, 3 not found, 4 conflict, 5 no daemon, 130 interrupted,
141 nobody reads the output any more. `exec` and `attach` give the command's own code.
"""

from __future__ import annotations

import argparse
import os
import sys
from importlib import import_module

from tank.errors import InvalidSpec, TankError

TYPE_CHECKING = False  # true for a type checker
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType
    from typing import NoReturn

VERBS = {
    "apply": "create or replace pods from files",
    "attach": "connect to the terminal or streams of a running container",
    "completion": "print the completion script of a shell",
    "config": "set, list, show and delete configs: what containers are given",
    "delete": "delete pods",
    "diff": "compare a pod with an earlier revision",
    "df": "what takes how much of the disk",
    "doctor": "check whether this machine can run pods",
    "events": "what happened to pods",
    "exec": "run a command in a running container",
    "export": "print a pod as a Kubernetes document",
    "get": "print the desired spec of a pod",
    "history": "list the revisions of a pod",
    "image": "pull, list, inspect and remove images; log in to registries",
    "import": "translate Kubernetes documents, and tell what is lost",
    "info": "about the daemon and its machine",
    "install": "install the system service",
    "list": "list pods",
    "logs": "print the output of a container",
    "network": "list and inspect pools of addresses; check who reaches whom",
    "plan": "show what apply would do",
    "restart": "restart a pod or one container, now",
    "rollback": "apply an earlier revision again",
    "schema": "print the JSON Schema of pod files",
    "secret": "set, list and delete secrets: configs that are encrypted and never shown",
    "serve": "run the daemon in the foreground",
    "stats": "what the interfaces of pods have carried",
    "status": "everything observed of a pod",
    "uninstall": "remove the system service",
    "volume": "list, inspect and delete managed volumes; archives of them",
    "version": "print the version",
    "wait": "wait until a pod is ready, running, succeeded, failed or gone",
    "why": "what a pod waits for, or why it died",
}
OUTPUTS = ("table", "wide", "json", "yaml", "name")
INTERRUPTED, CLOSED_PIPE, USAGE = 130, 141, 2
_VALUED = ("--host", "-o", "--output")


class Parser(argparse.ArgumentParser):
    """Argument errors on one line, like every other error."""

    def _get_formatter(self) -> argparse.HelpFormatter:
        return argparse.HelpFormatter(self.prog, width=_width())

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and where help is, and leave with 2."""
        self.exit(USAGE, f"{self.prog}: {message} (see '{self.prog} --help')\n")


def entry() -> NoReturn:
    """What the installed `tank` command calls."""
    sys.exit(main(sys.argv[1:]))


def main(argv: Sequence[str]) -> int:
    """Run one command; the answer is its exit code."""
    try:
        code = _run(list(argv))
        sys.stdout.flush()
    except TankError as error:
        report(error)
        return error.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the interpreter's last flush stays quiet
        return CLOSED_PIPE
    except KeyboardInterrupt:
        if sys.stderr.isatty():
            print(file=sys.stderr)  # the shell's next prompt stands on a line of its own
        return INTERRUPTED
    return code


def report(error: TankError) -> None:
    """Say `error` on standard error: one line, or one line for each fault of a document."""
    from tank.cli.text import plain

    if isinstance(error, InvalidSpec) and error.problems:
        lines = [str(problem) for problem in error.problems]
    else:
        lines = [f"tank: {error.message}"]
    print("\n".join(plain(line) for line in lines), file=sys.stderr)


def _width() -> int:
    """Columns for help. Asked here, since argparse would import `shutil` and three compressors for it."""
    try:
        return max(40, os.get_terminal_size().columns - 2)
    except OSError:
        return 100


def parser_of(verb: str, module: ModuleType, *, command: bool = False) -> Parser:
    """The parser of one verb with the global flags; `command`: what follows the arguments is a command line."""
    parser = Parser(prog=f"tank {verb}", description=f"{VERBS[verb]}.", allow_abbrev=False)
    module.add(parser)
    if command:
        parser.add_argument("command", nargs=argparse.REMAINDER, metavar="-- CMD", help="the command to run")
    shared = parser.add_argument_group("global flags")
    shared.add_argument("--host", metavar="URL", help="the daemon, unix:///path (or TANK_HOST)")
    shared.add_argument("-o", "--output", choices=OUTPUTS, default=None, help="how to print")
    shared.add_argument("--no-color", dest="no_color", action="store_true", help="no colours (or NO_COLOR)")
    return parser


def _run(argv: list[str]) -> int:
    start = _verb_index(argv)
    leading, rest = argv[:start], argv[start:]
    if "-h" in leading or "--help" in leading or rest == ["help"]:
        print(_help())
        return 0
    if "--version" in leading:
        rest = ["version"]
        leading.remove("--version")
    if not rest:
        print(_help(), file=sys.stderr)
        return USAGE
    verb = rest[1] if rest[0] == "help" else rest[0]
    if verb not in VERBS:
        return _unknown(verb)
    module = import_module(f"tank.cli.{verb}")
    if rest[0] == "help":
        parser_of(verb, module).print_help()
        return 0
    options = _options(verb, module, leading + rest[1:])
    code: int = module.run(options)
    return code


def _verb_index(argv: list[str]) -> int:
    """Where the verb stands, behind global flags."""
    index = 0
    while index < len(argv) and argv[index].startswith("-"):
        index += 2 if argv[index] in _VALUED else 1
    return min(index, len(argv))


def _options(verb: str, module: ModuleType, argv: list[str]) -> argparse.Namespace:
    """The parsed flags. What follows `--` is a command, untouched, for a verb that takes one."""
    takes_command = getattr(module, "TAKES_COMMAND", False)
    options: argparse.Namespace | None = None
    unknown: list[str] = []
    if takes_command and "--" in argv:
        cut = argv.index("--")
        options, unknown = parser_of(verb, module).parse_known_args(argv[:cut])
        options.command = argv[cut + 1 :]
    if options is None or unknown:  # no `--`, or it belongs to the command: exec web echo -- x
        parser = parser_of(verb, module, command=takes_command)
        options = (
            parser.parse_intermixed_args(argv) if getattr(module, "INTERMIXED", False) else parser.parse_args(argv)
        )
    options.color = not options.no_color and not os.environ.get("NO_COLOR") and sys.stdout.isatty()
    return options


def _unknown(verb: str) -> int:
    from difflib import get_close_matches

    near = get_close_matches(verb, VERBS, 1)
    hint = f" (did you mean '{near[0]}'?)" if near else " (see 'tank --help')"
    print(f"tank: no command {verb!r}{hint}", file=sys.stderr)
    return USAGE


def _help() -> str:
    lines = ["usage: tank [--host URL] [-o table|wide|json|yaml|name] [--no-color] COMMAND …", ""]
    lines += ["Declare which pods run on this machine; Tank keeps it so.", "", "commands:"]
    lines += [f"  {verb:<12} {summary}" for verb, summary in VERBS.items()]
    lines += ["", "'tank COMMAND --help' tells more about one."]
    return "\n".join(lines)

"""Every error that Tank raises on purpose, in one tree.

    TankError                 kind, reason, exit code and HTTP status hang on the class
    ├── InvalidSpec           a document is at fault; `.problems` lists every fault with its path
    ├── NotFound              no such pod, container, revision, image
    ├── Conflict              the write lost a race, or the plan changed since it was shown
    ├── Denied                not allowed to this caller, or refused by a safety rule
    ├── Unsupported           this machine or this version cannot do it; says why
    ├── Unavailable           the daemon, the store or a registry cannot be reached just now
    ├── Timeout               it did not happen in the time allowed
    └── Failed                an effect failed
        ├── ToolFailed        a program ended with a non-zero code
        ├── Waiting           a precondition is missing: the pod waits with `.reason` and is tried again
        │   └── PullFailed    the image cannot be had now (C6)
        └── StartFailed       the container's program cannot be started; counts as a termination (C5)

Foreign errors are translated at the border where they appear, with the cause kept. Behaviour is chosen by
type, never by text. Messages are lower case, without a full stop: "cannot X: why".
This module imports nothing heavy: the command line loads it on every start.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Mapping, Sequence

TYPE_CHECKING = False  # true for a type checker; `typing` costs the command line 4 ms
if TYPE_CHECKING:
    from typing import Any, ClassVar, NamedTuple

    class _Problem(NamedTuple):
        path: str
        message: str
        suggestion: str = ""
        line: int | None = None
        column: int | None = None
        source: str = ""
else:
    _Problem = namedtuple("_Problem", "path message suggestion line column source", defaults=("", None, None, ""))


class Problem(_Problem):
    """One fault of a document: where, what, and how to mend it.

    `path` reads like `containers[1].mounts[0].volume` (empty for the whole document); `line` and `column`
    count from 1 and are None where the format gives none; `source` names the file or document.
    """

    __slots__ = ()

    def __str__(self) -> str:
        where = f"{self.line}:{self.column}: " if self.line is not None else ""
        source = f"{self.source}:" if self.source else ""
        what = f"{self.path}: {self.message}" if self.path else self.message
        return f"{source}{where}{what}" + (f" ({self.suggestion})" if self.suggestion else "")


class TankError(Exception):
    """The root. `kind` is the same word in Python, HTTP and the command line."""

    kind: ClassVar[str] = "Failed"
    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidSpec(TankError):
    """A document is at fault. `problems` holds every fault found, not only the first."""

    kind = "InvalidSpec"
    exit_code = 2
    http_status = 400

    def __init__(self, problems: Sequence[Problem], message: str = "") -> None:
        self.problems = tuple(problems)
        super().__init__(message or "; ".join(str(problem) for problem in self.problems))


class NotFound(TankError):
    """What was named does not exist."""

    kind = "NotFound"
    exit_code = 3
    http_status = 404


class Conflict(TankError):
    """The write lost a race with another, or would take what belongs to another pod."""

    kind = "Conflict"
    exit_code = 4
    http_status = 409


class Denied(TankError):
    """Refused to this caller, or by a safety rule."""

    kind = "Denied"
    http_status = 403


class Unsupported(TankError):
    """This version or this machine cannot do it."""

    kind = "Unsupported"
    http_status = 400
    exit_code = 2


class Unavailable(TankError):
    """The daemon, the store or a registry cannot be reached at the moment."""

    kind = "Unavailable"
    exit_code = 5
    http_status = 503


class Timeout(TankError):
    """It did not happen in the time allowed."""

    kind = "Timeout"
    http_status = 504


class Failed(TankError):
    """An effect on the machine failed."""

    kind = "Failed"


class ToolFailed(Failed):
    """The program `argv` ended with `code` (negative: minus the signal) and said `stderr`."""

    kind = "ToolFailed"

    def __init__(self, argv: Sequence[str], code: int, stderr: str) -> None:
        self.argv, self.code, self.stderr = tuple(argv), code, stderr
        said = stderr.strip().splitlines()
        super().__init__(f"{argv[0]} ended with {code}" + (f": {said[-1][:500]}" if said else ""))


class Waiting(Failed):
    """A precondition is missing. The pod is pending with `reason` (C5's waiting reasons) and tried again."""

    kind = "Waiting"

    def __init__(self, reason: str, message: str, *, retry_after: float | None = None) -> None:
        self.reason, self.retry_after = reason, retry_after
        super().__init__(message)


class PullFailed(Waiting):
    """The image cannot be had now (C6). `reason`: ErrImagePull, ErrImageNeverPull or InvalidImageName."""

    kind = "PullFailed"


class StartFailed(Failed):
    """The program cannot be started: `code` is 125, 126 or 127 (C5). Counts as a termination."""

    kind = "StartFailed"

    def __init__(self, code: int, message: str) -> None:
        self.code = code
        super().__init__(message)


def by_kind() -> Mapping[str, type[TankError]]:
    """Every class of the tree by its `kind`, for the far end of the wire."""
    found: dict[str, type[TankError]] = {}
    todo = TankError.__subclasses__()  # not the root, whose kind is that of `Failed`
    while todo:
        each = todo.pop()
        found.setdefault(each.kind, each)
        todo.extend(each.__subclasses__())
    return found


def to_json(error: TankError) -> dict[str, Any]:
    """The error as the body of an HTTP answer."""
    body: dict[str, Any] = {"kind": error.kind, "message": error.message, "problems": []}
    if isinstance(error, InvalidSpec):
        body["problems"] = [problem._asdict() for problem in error.problems]
    return {"error": body}


def from_json(body: Mapping[str, Any]) -> TankError:
    """The error that an HTTP answer carried, as the class it was raised with."""
    error = body.get("error", {})
    message = str(error.get("message", "the daemon gave no reason"))
    if error.get("kind") == InvalidSpec.kind:
        return InvalidSpec([Problem(**problem) for problem in error.get("problems", [])], message)
    found = by_kind().get(str(error.get("kind")), TankError)
    if issubclass(found, (ToolFailed, Waiting, StartFailed)):
        found = Failed
    return found(message)

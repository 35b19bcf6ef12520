"""What `-f` names: files, directories, URLs, standard input, and Python files that define `pods`.

The text goes to the daemon as it was typed, each with its name, so that faults come back with its own lines; all
of it in one request, so that it is one transaction. A `.py` runs here, in the client, and only from a file that was
named itself. A URL is https, or http on loopback: a spec says what root runs, so it must not be changed on its way.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any

from tank.cli.text import tell
from tank.client.wire import Endpoint
from tank.errors import Failed, InvalidSpec, NotFound, Problem

KIND = "application/vnd.tank.documents+json"
ENDINGS = {".yaml": "yaml", ".yml": "yaml", ".toml": "toml", ".json": "json"}
MAX_SIZE = 2**20


def add(parser: argparse.ArgumentParser) -> None:
    """`-f`, as often as one likes."""
    parser.add_argument(
        "-f",
        "--file",
        dest="files",
        action="append",
        required=True,
        metavar="FILE|DIR|URL|-",
        help="pods in YAML, TOML or JSON, or a .py that defines `pods`; may stand several times",
    )


def tell_losses(answer: dict[str, Any]) -> None:
    """Say what Kubernetes documents state that means nothing here, each with its place."""
    for each in answer.get("losses", ()):
        tell(f"lost: {Problem(**each)}")


class Documents:
    """Everything that was named, read. `computed`: sources whose text nobody typed."""

    def __init__(self, names: list[str]) -> None:
        self.texts: list[dict[str, str]] = []
        self.computed: set[str] = set()
        for name in names:
            self._read(name)

    def send(self, daemon: Endpoint, path: str, query: dict[str, object], timeout: float = 120) -> Any:
        """Post it all. Raises InvalidSpec with the sources' own lines."""
        body = json.dumps({"documents": self.texts}).encode()
        if len(body) > MAX_SIZE:
            raise InvalidSpec([Problem("", f"{len(body)} bytes of pods are more than one request may hold, 1 MiB")])
        try:
            return daemon.json("POST", path, query, body=body, kind=KIND, timeout=timeout)
        except InvalidSpec as error:
            raise InvalidSpec([self._placed(each) for each in error.problems]) from None

    def _placed(self, problem: Problem) -> Problem:
        return problem._replace(line=None, column=None) if problem.source in self.computed else problem

    def _read(self, name: str) -> None:
        if name == "-":
            self._add("<stdin>", "yaml", sys.stdin.buffer.read())
        elif "://" in name:
            self._add(name, _format(name.partition("?")[0]), fetch(name))
        elif os.path.isdir(name):
            self._directory(name)
        elif name.endswith(".py"):
            self.computed.add(name)
            self._add(name, "json", run_python(name))
        else:
            self._add(name, _format(name), _file(name))

    def _directory(self, name: str) -> None:
        found = sorted(each for each in os.listdir(name) if os.path.splitext(each)[1] in ENDINGS)
        if not found:
            raise InvalidSpec([Problem("", "no .yaml, .yml, .toml or .json file in this directory", source=name)])
        for each in found:
            path = os.path.join(name, each)
            self._add(path, _format(path), _file(path))

    def _add(self, source: str, form: str, text: bytes) -> None:
        try:
            self.texts.append({"source": source, "format": form, "text": text.decode("utf-8-sig")})
        except UnicodeDecodeError as error:
            raise InvalidSpec([Problem("", f"not UTF-8: byte {error.start} is wrong", source=source)]) from error


def _format(name: str) -> str:
    return ENDINGS.get(os.path.splitext(name)[1].lower(), "yaml")


def _file(name: str) -> bytes:
    try:
        with open(name, "rb") as file:
            return file.read()
    except FileNotFoundError as error:
        raise NotFound(f"cannot read {name}: there is no such file") from error
    except OSError as error:
        raise Failed(f"cannot read {name}: {error.strerror}") from error


def fetch(url: str) -> bytes:
    """What a URL holds. Raises Failed; InvalidSpec for a way that could be tampered with."""
    from urllib import request

    class Checked(request.HTTPRedirectHandler):
        """Every hop of a redirect is held to the same rule."""

        def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
            _check_url(newurl)
            return super().redirect_request(req, fp, code, msg, headers, newurl)

    _check_url(url)
    try:
        with request.build_opener(Checked).open(url, timeout=30) as answer:
            text: bytes = answer.read(MAX_SIZE + 1)
    except (OSError, ValueError) as error:
        raise Failed(f"cannot fetch {url}: {error}") from error
    if len(text) > MAX_SIZE:
        raise Failed(f"cannot fetch {url}: it is longer than 1 MiB")
    return text


def _check_url(url: str) -> None:
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    loopback = parts.hostname in ("localhost", "127.0.0.1", "::1")
    if parts.scheme != "https" and not (parts.scheme == "http" and loopback):
        raise InvalidSpec([Problem("", "only https, or http from this machine, can be trusted with pods", source=url)])


def run_python(name: str) -> bytes:
    """The `pods` that a Python file defines, as JSON. Its own errors are faults of the document."""
    import runpy

    from tank.client.calls import document

    if not os.path.exists(name):
        raise NotFound(f"cannot read {name}: there is no such file")
    try:
        defined = runpy.run_path(name)
    except InvalidSpec as error:
        raise InvalidSpec([each._replace(source=name) for each in error.problems]) from error
    except (Exception, SystemExit) as error:
        message = f"{type(error).__name__}: {error}"
        raise InvalidSpec([Problem("", message, line=_line(error, name), column=1, source=name)]) from error
    if "pods" not in defined:
        raise InvalidSpec([Problem("", "it defines no `pods`", source=name)])
    return document(defined["pods"])


def _line(error: BaseException, name: str) -> int | None:
    if isinstance(error, SyntaxError):
        return error.lineno
    trace, found = error.__traceback__, None
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == name:
            found = trace.tb_lineno
        trace = trace.tb_next
    return found

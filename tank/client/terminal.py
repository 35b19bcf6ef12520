"""The terminal of whoever runs exec or attach: raw mode, its size, the keys that detach.

Raw mode is a context: however it is left (an exception, SIGTERM, SIGHUP, Ctrl-C) the terminal is as before.
Stopped and continued by a shell, which resets the terminal meanwhile, it goes raw again.
"""

from __future__ import annotations

import os
import signal
import sys
import termios
import tty
from contextlib import suppress
from types import FrameType
from typing import Any

from tank.errors import InvalidSpec, Problem

_ENDING = (signal.SIGTERM, signal.SIGHUP)


def both_ends() -> bool:
    """Whether standard input and output are terminals."""
    return all(_is_terminal(stream) for stream in (sys.stdin, sys.stdout))


def _is_terminal(stream: Any) -> bool:
    try:
        return os.isatty(stream.fileno())
    except (AttributeError, OSError, ValueError):  # closed, or replaced by something without a descriptor
        return False


class Terminal:
    """The terminal on `fd` while a remote program has it. `wake` becomes readable when its size changes."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.wake, self._ring = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._saved = termios.tcgetattr(fd)
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> Terminal:
        try:
            self._catch()
            self._raw()
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._leave()

    def size(self) -> tuple[int, int]:
        """Rows and columns now."""
        try:
            columns, rows = os.get_terminal_size(self.fd)
        except OSError:
            return 24, 80
        return rows or 24, columns or 80

    def resized(self) -> tuple[int, int]:
        """The size, after `wake` became readable."""
        with suppress(BlockingIOError):
            os.read(self.wake, 512)
        return self.size()

    def _raw(self) -> None:
        tty.setraw(self.fd, termios.TCSADRAIN)  # drain, not flush: what was typed ahead is kept

    def _leave(self) -> None:
        with suppress(termios.error):  # the terminal itself is gone
            termios.tcsetattr(self.fd, termios.TCSADRAIN, self._saved)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers.clear()
        os.close(self.wake)
        os.close(self._ring)

    def _catch(self) -> None:
        try:
            for number in (signal.SIGWINCH, signal.SIGCONT):
                self._handlers[number] = signal.signal(number, self._changed)
            for number in _ENDING:
                self._handlers[number] = signal.signal(number, _end)
        except ValueError:
            pass  # not the main thread: no resizes, and its owner handles signals

    def _changed(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGCONT:
            self._raw()
        with suppress(BlockingIOError):  # full of news already
            os.write(self._ring, b"!")


def _end(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


class DetachKeys:
    """Finds the keys that detach in what is typed. A part of them is held back until it is clear."""

    def __init__(self, keys: bytes) -> None:
        self.keys, self._held, self.pressed = keys, b"", False

    def feed(self, typed: bytes) -> bytes:
        """What of `typed`, and of the keys held back, goes to the program. Sets `pressed`."""
        if not self.keys:
            return typed
        through = bytearray()
        for index in range(len(typed)):
            self._held += typed[index : index + 1]
            while not self.keys.startswith(self._held):
                through += self._held[:1]
                self._held = self._held[1:]
            if self._held == self.keys:
                self.pressed, self._held = True, b""
                break
        return bytes(through)


def detach_keys(text: str) -> bytes:
    """`ctrl-p,ctrl-q` as the bytes that a terminal sends; empty for no keys. Raises InvalidSpec."""
    return b"".join(_key(each.strip()) for each in text.split(",")) if text else b""


def _key(text: str) -> bytes:
    if len(text) == 1 and text.isascii():
        return text.encode()
    letter = text.lower().removeprefix("ctrl-").upper()
    if text.lower().startswith("ctrl-") and len(letter) == 1 and "@" <= letter <= "_":
        return bytes([ord(letter) & 0x1F])
    problem = Problem("--detach-keys", f"{text!r} is no key", "write letters and ctrl-a to ctrl-z, with commas")
    raise InvalidSpec([problem])

"""The unpacker: a program that reads one compressed layer from its input and fills one directory, and can do no more.

    python -I -m tank.image.untar DIRECTORY alone|beside STREAM-BYTES ENTRIES KEPT-BYTES KEPT-INODES [DESCRIPTOR]

It confines itself first (`tank.host.confine`), then decodes, hashes and extracts in one pass. With a DESCRIPTOR the
layer lies in that file, which grows, and the input says how far (`tank.image.growing`). Its only output is one JSON
object: what it made, or why it refused. It believes nothing, and what it says is believed only by a daemon that has
hashed the compressed bytes itself. It imports little, so that it starts in some 30 ms.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import sys
from collections.abc import Mapping
from pathlib import Path

from tank.errors import PullFailed
from tank.host import confine
from tank.image import stream, tarball
from tank.image.extract import Bounds, Extractor
from tank.image.growing import Growing

_READ = 2**18
_SELDOM = 100_000  # objects between two searches for cycles, which a layer leaves none of
_MEMORY = 2**30  # of address space: a zstd window of 128 MiB, queues and tables fit well
_CAPABILITIES = (
    confine.CAP_CHOWN,
    confine.CAP_DAC_OVERRIDE,
    confine.CAP_FOWNER,
    confine.CAP_FSETID,
    confine.CAP_MKNOD,
    confine.CAP_SETFCAP,
)


def main(arguments: list[str], kind: type[Extractor] = Extractor) -> int:
    """Unpack and report; 0 when the report says all there is to say."""
    directory, alone, *rest = arguments
    bounds, files = Bounds(*map(int, rest[:4])), [*map(int, rest[4:])]
    read = Growing(files[0], 0) if files else _piped
    limits = {
        resource.RLIMIT_AS: _MEMORY,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_CPU: 4 * 3600,
        resource.RLIMIT_NOFILE: 1024,
    }
    gc.set_threshold(_SELDOM)
    try:
        confine.confine(Path(directory), capabilities=_CAPABILITIES, limits=limits)
        report = unpacked(read, bounds, kind, alone=alone == "alone")
    except PullFailed as error:
        report = {"refused": error.message, "reason": error.reason}
    except MemoryError:
        report = {"refused": "cannot unpack layer: it needs too much memory"}
    except OSError as error:
        report = {"failed": f"cannot unpack layer: {error.strerror or error}"}
    _say(json.dumps(report).encode())
    return 0


def _piped() -> bytes:
    return os.read(0, _READ)


def unpacked(
    read: stream.Read, bounds: Bounds, kind: type[Extractor] = Extractor, *, alone: bool
) -> Mapping[str, object]:
    """Fill the root from what `read` gives. Raises PullFailed, OSError, MemoryError."""
    root = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    decoder = stream.Decoder(read, bounds.stream, alone=alone)
    reader = stream.Reader(decoder.more)
    extractor = kind(root, bounds)
    extractor.run(tarball.entries(reader), reader)
    reader.drain()
    return {
        "diff_id": decoder.diff_id,
        "bytes": decoder.count,
        "entries": extractor.entries,
        "opaque": [os.fsdecode(path) for path in extractor.tree.opaque],
        "implicit": [os.fsdecode(path) for path in extractor.tree.implicit],
    }


def _say(text: bytes) -> None:
    while text:
        text = text[os.write(1, text) :]


if __name__ == "__main__":
    code = main(sys.argv[1:])
    os._exit(code)  # the decoder's thread may wait for input that nobody needs any more

"""The unpacker of volumes: as that of layers (`tank.image.untar`), as confined, but a name is only a name.

    python -I -m tank.image.fill DIRECTORY alone STREAM-BYTES ENTRIES KEPT-BYTES KEPT-INODES

A volume knows no whiteouts: what is called `.wh.x` in the archive is a file of that name.
"""

from __future__ import annotations

import os
import sys

from tank.image import names, untar
from tank.image.extract import Extractor
from tank.image.names import Meaning, Name
from tank.image.stream import Reader
from tank.image.tarball import Entry


class Filler(Extractor):
    """Fills one directory. `run` once."""

    def _member(self, entry: Entry, reader: Reader) -> None:
        name = names.literal(entry.name)
        if name.meaning is Meaning.ROOT:
            self._root(entry)
        else:
            self._create(name, entry, reader)

    def _target(self, link: bytes) -> Name:
        return names.literal(link)


if __name__ == "__main__":
    code = untar.main(sys.argv[1:], Filler)
    os._exit(code)

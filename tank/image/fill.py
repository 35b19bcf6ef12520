"""The unpacker of volumes: as that of layers (`tank.image.untar`), as confined, but a name is only a name.

    python -I -m tank.image.fill DIRECTORY alone STREAM-BYTES DISK-BYTES ENTRIES

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

    def _link(self, name: Name, entry: Entry) -> None:
        target = names.literal(entry.link)
        if target.path == name.path:
            return
        source = os.dup(self.tree.directory(target.parent))  # the next call may close it
        try:
            parent = self.tree.directory(name.parent)
            try:
                os.link(target.base, name.base, src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False)
            except FileExistsError:
                self._replace_by_link(target, source, name, parent)
        finally:
            os.close(source)


if __name__ == "__main__":
    code = untar.main(sys.argv[1:], Filler)
    os._exit(code)

"""`tank install`: the system service, from an installation that nobody but root can change."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


def add(parser: argparse.ArgumentParser) -> None:
    """The group, and whether to start."""
    parser.add_argument("--group", default="tank", help="members may use the socket (default: tank)")
    parser.add_argument("--no-start", dest="start", action="store_false", help="write the files, start nothing")


def run(options: argparse.Namespace) -> int:
    """Refuse an unsafe place, then install; what was done goes to standard error."""
    import asyncio

    from tank.ops import install

    install.refuse_unless_safe()
    done = asyncio.run(install.install(install.this_machine(), group=options.group, start=options.start))
    print("\n".join(done or ["everything was installed already"]), file=sys.stderr)
    return 0

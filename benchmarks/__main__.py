"""`./dev bench [NAME…]`: run the named benchmarks, or all."""

from __future__ import annotations

import sys
from collections.abc import Callable

from benchmarks import idle, listing, net, pull, start

ALL: dict[str, Callable[[], None]] = {
    "start": start.main,
    "list": listing.main,
    "idle": idle.main,
    "pull": pull.main,
    "net": net.main,
}


def main(names: list[str]) -> int:
    """Run them in the order given; 2 for a name that is none."""
    if unknown := [name for name in names if name not in ALL]:
        print(f"no benchmark {', '.join(unknown)}; there are {', '.join(ALL)}", file=sys.stderr)
        return 2
    for name in names or ALL:
        ALL[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

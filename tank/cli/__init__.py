"""The command line: a thin client of the daemon's API.

One verb is one file, `tank/cli/<verb>.py`, and only the file of the verb that was typed is imported, so that
`tank list` starts as fast as Python does. A verb file offers two functions:

    def add(parser: argparse.ArgumentParser) -> None     its own flags and arguments
    def run(options: argparse.Namespace) -> int          does it; the answer is the exit code

and its one-line summary stands in `VERBS` of `tank.cli.main`. `options` also carries the global flags: `host`
(a URL), `output` (table, wide, json, yaml, name) and `color` (a bool). A verb raises `TankError`; `main` turns it
into one line on standard error and the exit code of its class. Data goes to standard output, all that is said to
people to standard error. Nothing heavy is imported at the top of a file: no pydantic, asyncio, aiohttp, dataclasses.
"""

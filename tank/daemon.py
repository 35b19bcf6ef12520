"""Composition: which store, drivers and loop work together; and the daemon around them.

`Engine` is Tank as a library: the whole of it inside your own asyncio program. `main` is the daemon: an engine,
the socket, and signals. SIGTERM ends the daemon and not the pods, unless the whole system is going down.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Self

from tank.config import Settings
from tank.errors import Denied, TankError
from tank.host import files, lock, systemd
from tank.image import logins
from tank.image.logins import Logins
from tank.image.pull import ImageStore
from tank.net.driver import NetDriver
from tank.node import lasting
from tank.node.collector import Collector
from tank.node.disk import Disk
from tank.node.images import ImageVerbs
from tank.node.input_verbs import InputVerbs
from tank.node.inputs import StoredInputs
from tank.node.networks import NetworkVerbs
from tank.node.observe import Machine
from tank.node.pulse import Pulse
from tank.node.reconciler import Reconciler
from tank.node.records import Records
from tank.node.recover import sow, take_back
from tank.node.report import Report
from tank.node.service import Node
from tank.node.volumes import VolumeVerbs
from tank.node.wiring import Switch
from tank.runtime.driver import CrunRuntime
from tank.store.seal import key_file
from tank.store.sqlite import SqliteStore

CHECK = 86_400.0  # seconds between two looks at the whole database
ROTATION = 10.0  # seconds between two looks at the size of the logs (C11)
LET_GO = 10.0  # seconds that passes under way are given when the daemon stops

log = logging.getLogger("tank")


class Engine:
    """One machine's Tank, without a socket.

        async with tank.Engine(settings) as engine:
            await engine.node.apply([pod])

    Leaving the block ends the loop and nothing else: the pods run on. Raises Conflict when another daemon works
    on the same data directory, Denied when not root.
    """

    node: Node

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._stack = contextlib.AsyncExitStack()
        self._loop: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if os.geteuid() != 0:
            raise Denied("cannot run pods: the daemon has to be root")
        try:
            await self._open()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _open(self) -> None:
        settings, stack = self.settings, self._stack
        _directories(settings)
        stack.callback(os.close, lock.take(settings.data_dir / "lock"))
        installation = _installation(settings.data_dir)
        records = Records(settings)
        stack.callback(records.close)
        records.load()
        store = await SqliteStore.open(settings.store)
        stack.push_async_callback(store.close)
        report = Report(store)
        recovered = await take_back(store, records)
        machine = await self._machine(installation, records, store)
        self.pulse = Pulse()
        damaged = bool(store.damaged)
        self.reconciler = Reconciler(
            machine, store, report, self.pulse, recovering=bool(recovered) or bool(records.damaged) or damaged
        )
        self.node = Node(machine, store, self.reconciler, report)
        self.node.networks = NetworkVerbs(machine, self._net.survey())
        self._compose_images(machine, store, report)
        await self._compose_inputs(machine, store, recovered)
        self._tell(report, recovered, store.damaged, records)
        for fault in await sow(self.node, store, settings):
            self.node.conditions["SeedRefused"] = fault
        await self._begin(report, store, machine)

    async def _machine(self, installation: str, records: Records, store: SqliteStore) -> Machine:
        settings = self.settings
        runtime = CrunRuntime(settings, installation)
        self._stack.push_async_callback(runtime.close)
        await runtime.open()
        images = self._images = ImageStore(settings)
        self._stack.push_async_callback(images.close)
        await images.open()
        net = self._net = NetDriver(settings, installation)
        self._stack.push_async_callback(net.close)
        self._key_file = key_file(settings.data_dir, settings.secret_key)
        return Machine(
            settings=settings,
            installation=installation,
            runtime=runtime,
            images=images,
            net=net,
            records=records,
            inputs=StoredInputs(store, self._key_file),
        )

    def _compose_images(self, machine: Machine, store: SqliteStore, report: Report) -> None:
        """The verbs of images, what collects them, and the watch over the disk."""
        images = self._images
        collector = Collector(machine, store, images)
        images.fitting.make_room = collector.make_room
        self.node.volumes = VolumeVerbs(machine, store, images.room)
        self.node.images = ImageVerbs(images, collector, Logins(self.settings.data_dir / logins.NAME))
        self.node.disk = Disk(
            machine,
            images,
            collector,
            report=report,
            nudge=self.reconciler.nudge,
            hasten=self.reconciler.flights.hasten,
            conditions=self.node.conditions,
        )
        self.node.relieve = self.node.disk.relieve
        self.node.relieve()

    async def _compose_inputs(self, machine: Machine, store: SqliteStore, recovered: tuple[str, ...]) -> None:
        """The verbs of secrets and configs; what is wrong with them by now is said."""
        self.node.inputs = InputVerbs(store, self._key_file, machine.now, self.node.conditions)
        self.node.inputs.relieve = self.node.relieve
        await self.node.inputs.look(lost=bool(recovered))

    def _tell(self, report: Report, recovered: tuple[str, ...], damaged: Path | None, records: Records) -> None:
        """What the start found is said where people look: the log, the events, `tank info`."""
        if damaged is not None:
            self.node.conditions["StoreDamaged"] = f"the database was damaged and is kept as {damaged}"
        if recovered:
            self.node.conditions["Recovered"] = (
                f"the database was new or lost; {len(recovered)} pod(s) were taken back from their own records: "
                + ", ".join(recovered)
            )
        for path in records.damaged:
            self.node.conditions["RecordDamaged"] = f"a record was damaged and is kept as {path}"
        for kind, text in self.node.conditions.items():
            log.warning("%s: %s", kind, text)
            report.warning("", "", kind, text)

    async def _begin(self, report: Report, store: SqliteStore, machine: Machine) -> None:
        astray = self.reconciler.astray
        astray.conditions = self.node.conditions
        switch = Switch(machine, store, self.node, report=report, pulse=self.pulse, astray=astray)
        await switch.settle()  # what the records say is known before anything is given away
        self._stack.push_async_callback(switch.settle)  # what the last pods have left behind goes with them
        works: dict[str, Callable[[], Awaitable[object]]] = {
            "events": report.run,
            "logs": partial(_rotate, machine),
            "store check": partial(self._check, store),
            "disk": self.node.disk.run,
            "network": switch.run,
        }
        tell = partial(report.warning, "", "", lasting.REASON)
        tasks = [asyncio.create_task(lasting.lasting(name, work, tell), name=name) for name, work in works.items()]
        tasks.append(asyncio.create_task(_sweep(self.node), name="volumes"))
        self._loop = asyncio.create_task(self.reconciler.run(), name="loop")
        self._stack.push_async_callback(_end, [self._loop, *tasks])

    async def _check(self, store: SqliteStore) -> None:
        """A look at the whole database once a day (R26); what is wrong is said, nothing is touched."""
        while True:
            await asyncio.sleep(CHECK)
            try:
                fault = await store.check()
            except TankError as error:
                fault = str(error)
            if fault:
                self.node.conditions["StoreDamaged"] = fault
                log.error("the database is damaged: %s", fault)

    async def failed(self) -> None:
        """Return only when the loop ends by itself, which it never should; raises what ended it."""
        assert self._loop is not None
        await asyncio.shield(self._loop)


async def _sweep(node: Node) -> None:
    """What a crash left of deleted volumes goes, however large it is, beside all else."""
    try:
        await node.volumes.sweep()
    except TankError as error:
        log.warning("%s", error)


async def _rotate(machine: Machine) -> None:
    while True:
        await asyncio.sleep(ROTATION)
        try:
            await machine.runtime.rotate_logs()
        except Exception as error:  # noqa: BLE001 - the next turn may be luckier
            log.warning("cannot rotate the logs: %s", error)


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LET_GO):
            await asyncio.gather(*tasks, return_exceptions=True)


def _directories(settings: Settings) -> None:
    """Ours alone (S19): the data is 0700; the run directory lets the group reach the socket in it."""
    for path, mode in ((settings.data_dir, 0o700), (settings.run_dir, 0o750)):
        try:
            path.mkdir(parents=True, exist_ok=True)
            path.chmod(mode)
        except OSError as error:
            raise Denied(f"cannot use {path}: {error.strerror}") from error


def _installation(data_dir: Path) -> str:
    """The mark of everything this data directory owns: 6 hex digits, made once."""
    path = data_dir / "installation"
    found = files.read(path)
    if not found:
        found = secrets.token_hex(3).encode()
        files.write_durably(path, found)
    return found.decode().strip()


async def _serve(settings: Settings) -> None:
    from tank.api.server import serve

    stop = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, stop.set)
    async with Engine(settings) as engine:
        server = await serve(engine.node, settings)
        try:
            systemd.notify("READY=1")
            log.info("ready at %s", settings.socket)
            await _until(stop, engine)
            systemd.notify("STOPPING=1")
            if await systemd.is_stopping():
                log.info("the system goes down: stopping all pods")
                await engine.reconciler.drain()
        finally:
            await server.close()


async def _until(stop: asyncio.Event, engine: Engine) -> None:
    waits = [asyncio.create_task(stop.wait()), asyncio.create_task(engine.failed())]
    try:
        done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in waits:
            task.cancel()


def main(settings: Settings) -> int:
    """The daemon in the foreground, until a signal. Returns the exit code."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    try:
        asyncio.run(_serve(settings))
    except TankError as error:
        print(f"tank: {error}", file=sys.stderr)
        return error.exit_code
    return 0

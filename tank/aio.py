"""`tank.aio.Client`: the methods of `tank.Client` for asyncio, over aiohttp.

    async with tank.aio.Client() as client:
        await client.apply(pod)
        async for event in client.events(follow=True):
            ...

It holds one session with its connections; `close` it, or use it as a context.
"""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

import aiohttp

from tank.client import calls, image_calls
from tank.client.awaited import Images
from tank.client.calls import WAIT, Call
from tank.client.inputs import AwaitedConfigs, AwaitedSecrets
from tank.client.networks import AwaitedNetworks
from tank.client.sessions import NOT_EXECUTABLE, NOT_FOUND, Surroundings, request
from tank.client.values import Event, ExecResult, LogLine, Plan, Revision, Why
from tank.client.volumes import AwaitedVolumes
from tank.client.wire import endpoint, refusal, said, target
from tank.errors import Failed, TankError, Timeout, Unavailable, from_json

if TYPE_CHECKING:
    from tank.client.calls import Spec
    from tank.model.images import DiskUsage
    from tank.model.pod import Pod
    from tank.model.stats import PodStats
    from tank.model.status import Status

T = TypeVar("T")
_LONGEST_LINE = 8 * 2**20
_PIECE = 65536


class Client:
    """A daemon, spoken to over its socket. As `tank.Client`, awaited; exec collects its output."""

    def __init__(self, url: str | None = None) -> None:
        self._daemon = endpoint(url)
        self.url = self._daemon.url
        self._session: aiohttp.ClientSession | None = None
        self.images = Images(self._do, self._stream, self._upload, self._download)
        self.volumes = AwaitedVolumes(self._do)
        self.networks = AwaitedNetworks(self._do)
        self.secrets, self.configs = AwaitedSecrets(self._typed), AwaitedConfigs(self._typed)

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def apply(
        self,
        pods: Spec | Sequence[Spec],
        *,
        wait: bool = False,
        timeout: float = WAIT,  # noqa: ASYNC109 - the daemon keeps it, not this side
        prune: str | None = None,
        plan: str | None = None,
    ) -> list[Status]:
        """Create or replace the pods, all or none (see `tank.Client.apply`)."""
        return await self._typed(calls.apply(pods, wait=wait, timeout=timeout, prune=prune, plan=plan))

    async def plan(self, pods: Spec | Sequence[Spec], *, prune: str | None = None) -> Plan:
        """What `apply` would do. Raises InvalidSpec."""
        return await self._typed(calls.plan(pods, prune=prune))

    async def get(self, name: str) -> Pod:
        """The desired spec. Raises NotFound."""
        return await self._do(calls.get(name))

    async def list(self, selector: str | None = None) -> list[Status]:
        """The status of every pod, or of those whose labels match."""
        return await self._do(calls.list_(selector))

    async def status(self, name: str) -> Status:
        """All that is observed of the pod. Raises NotFound."""
        return await self._do(calls.status(name))

    async def why(self, name: str) -> Why:
        """One causal answer. Raises NotFound."""
        return await self._do(calls.why(name))

    async def delete(self, name: str, *, grace: float | None = None) -> Status:
        """Delete the pod; answered when accepted. Raises NotFound."""
        return await self._do(calls.delete(name, grace=grace))

    async def restart(self, name: str, *, container: str | None = None, pull: bool = False) -> Status:
        """Restart all containers or one. Raises NotFound."""
        return await self._do(calls.restart(name, container=container, pull=pull))

    async def wait(self, name: str, wanted: str = "ready", *, timeout: float = WAIT) -> Status:  # noqa: ASYNC109
        """Wait until the pod is as wanted. Raises Timeout; Failed when it cannot."""
        return await self._do(calls.wait(name, wanted, timeout=timeout))

    async def history(self, name: str) -> Sequence[Revision]:
        """Every kept revision, newest first. Raises NotFound."""
        return await self._do(calls.history(name))

    async def stats(self, name: str | None = None) -> Sequence[PodStats]:
        """What the interfaces of one pod, or of each with a network of its own, have carried. Raises NotFound."""
        return await self._do(calls.stats(name))

    async def rollback(self, name: str, *, to: int | None = None) -> Status:
        """Apply an earlier revision again. Raises NotFound."""
        return await self._do(calls.rollback(name, to=to))

    async def info(self) -> dict[str, Any]:
        """About the daemon and its machine."""
        return await self._do(calls.info())

    async def df(self) -> DiskUsage:
        """The owner of every byte below the data directory."""
        return await self._do(image_calls.df())

    def logs(
        self,
        name: str,
        *,
        container: str | None = None,
        tail: int | None = None,
        since: float | None = None,
        previous: bool = False,
        follow: bool = False,
    ) -> AsyncIterator[LogLine]:
        """The container's output over all its restarts."""
        options: dict[str, Any] = {"container": container, "tail": tail, "since": since}
        return self._stream(calls.logs(name, previous=previous, follow=follow, **options))

    def events(self, name: str | None = None, *, follow: bool = False) -> AsyncIterator[Event]:
        """What happened to one pod or to all, oldest first."""
        return self._stream(calls.events(name, follow=follow))

    async def exec(
        self,
        name: str,
        argv: Sequence[str],
        *,
        container: str | None = None,
        stdin: bytes | str | None = None,
        **surroundings: Unpack[Surroundings],
    ) -> ExecResult:
        """Run a command and collect its output (see `tank.Client.exec`); never interactive."""
        given = stdin.encode() if isinstance(stdin, str) else stdin
        asked = request(argv, **surroundings) | {"tty": False, "stdin": given is not None}
        path = target(calls.pod_path(name, "exec"), {"container": container})
        try:
            async with self._connection().ws_connect(f"http://tank{path}", max_msg_size=0) as stream:
                await stream.send_json(asked)
                return await _collect(stream, given)
        except aiohttp.WSServerHandshakeError as error:
            raise await self._refusal(path, error) from error
        except aiohttp.ClientError as error:
            raise self._unreachable(error) from error

    async def _do(self, call: Call[T]) -> T:
        seconds = self._daemon.timeout if call.seconds is None else call.seconds
        try:
            async with self._ask(call, aiohttp.ClientTimeout(total=seconds)) as answer:
                body = await answer.read()
                if answer.status >= 400:
                    raise refusal(answer.status, body)
                return call.decode(json.loads(body))
        except TimeoutError as error:
            raise Timeout("no answer from the daemon in the time allowed") from error
        except aiohttp.ClientError as error:
            raise self._unreachable(error) from error

    async def _typed(self, call: Call[T]) -> T:
        try:
            return await self._do(call)
        except TankError as error:
            raise calls.untyped(error) from None

    async def _stream(self, call: Call[T]) -> AsyncIterator[T]:
        try:
            async with self._ask(call, aiohttp.ClientTimeout(total=None)) as answer:
                if answer.status >= 400:
                    raise refusal(answer.status, await answer.read())
                async for line in answer.content:
                    if line.strip():
                        yield call.decode(said(json.loads(line)))
        except aiohttp.ClientError as error:
            raise self._unreachable(error) from error

    async def _upload(self, path: str, pieces: AsyncIterator[bytes]) -> Any:
        head, patient = {"Content-Type": "application/x-tar"}, aiohttp.ClientTimeout(total=None)
        try:
            async with self._connection().post(
                f"http://tank{path}", data=pieces, headers=head, timeout=patient
            ) as answer:
                body = await answer.read()
                if answer.status >= 400:
                    raise refusal(answer.status, body)
                return json.loads(body)
        except aiohttp.ClientError as error:
            raise self._unreachable(error) from error

    async def _download(self, path: str) -> AsyncGenerator[bytes, None]:
        try:
            async with self._connection().get(
                f"http://tank{path}", timeout=aiohttp.ClientTimeout(total=None)
            ) as answer:
                if answer.status >= 400:
                    raise refusal(answer.status, await answer.read())
                async for piece in answer.content.iter_any():
                    yield piece
        except aiohttp.ClientError as error:
            raise self._unreachable(error) from error

    def _ask(self, call: Call[Any], timeout: aiohttp.ClientTimeout) -> Any:
        url = f"http://tank{target(call.path, call.query)}"
        head = {"Content-Type": "application/json", **call.headers} if call.body else call.headers
        body = io.BytesIO(call.body) if call.body else None  # aiohttp sends this piece by piece, however large it is
        return self._connection().request(call.method, url, data=body, headers=head, timeout=timeout)

    def _connection(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.UnixConnector(self._daemon.path)
            self._session = aiohttp.ClientSession(connector=connector, read_bufsize=_LONGEST_LINE)
        return self._session

    def _unreachable(self, error: aiohttp.ClientError) -> TankError:
        if isinstance(error, aiohttp.ClientConnectorError):
            return self._daemon.unreachable(error.os_error)
        if isinstance(error.__cause__, TankError):  # what was to be sent could not be read
            return error.__cause__
        return Unavailable(f"the daemon closed the connection: {error}")

    async def _refusal(self, path: str, error: aiohttp.WSServerHandshakeError) -> TankError:
        """Why the upgrade was refused: aiohttp keeps no body, so ask again without one."""
        async with self._connection().get(f"http://tank{path}") as answer:
            if answer.status == error.status:
                return refusal(answer.status, await answer.read())
        return Failed(f"the daemon refused the stream with {error.status}")


async def _collect(stream: aiohttp.ClientWebSocketResponse, stdin: bytes | None) -> ExecResult:
    feeding = asyncio.create_task(_feed(stream, stdin or b""))
    try:
        return await _read(stream)
    finally:
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)


async def _feed(stream: aiohttp.ClientWebSocketResponse, stdin: bytes) -> None:
    for start in range(0, len(stdin), _PIECE):
        await stream.send_bytes(b"\0" + stdin[start : start + _PIECE])
    await stream.send_bytes(b'\3{"eof": true}')


async def _read(stream: aiohttp.ClientWebSocketResponse) -> ExecResult:
    output = {1: bytearray(), 2: bytearray()}
    async for message in stream:
        if message.type is not aiohttp.WSMsgType.BINARY:
            continue
        channel, data = message.data[0], message.data[1:]
        if channel in output:
            output[channel] += data
        elif "exit" in (said := json.loads(data)):
            return _result(said, output)
    raise Unavailable("the daemon closed the stream")


def _result(said: dict[str, Any], output: dict[int, bytearray]) -> ExecResult:
    code = int(said["exit"])
    if "error" in said:
        error = from_json(said)
        if code not in (NOT_EXECUTABLE, NOT_FOUND):
            raise error
        output[2] += f"{error.message}\n".encode()
    return ExecResult(exit_code=code, stdout=bytes(output[1]), stderr=bytes(output[2]))

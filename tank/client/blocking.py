"""`Client`: every method of `tank.client.calls`, blocking, and exec and attach with real terminals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

from tank.client import calls, image_calls
from tank.client.calls import WAIT, Call
from tank.client.images import Images
from tank.client.inputs import Configs, Secrets
from tank.client.networks import Networks
from tank.client.values import Event, ExecResult, LogLine, Plan, Revision, Why
from tank.client.volumes import Volumes
from tank.client.wire import endpoint
from tank.errors import TankError

if TYPE_CHECKING:
    from tank.client.calls import Spec
    from tank.client.sessions import Surroundings
    from tank.model.images import DiskUsage
    from tank.model.pod import Pod
    from tank.model.stats import PodStats
    from tank.model.status import Status

T = TypeVar("T")


class Client:
    """A daemon, spoken to over its socket. `url` is `unix:///path`; None: `TANK_HOST`, else the default socket.

    Every method raises the errors of `tank.errors`: what the daemon raised, or `Unavailable` when none answers.
    Durations are in seconds. A client holds no connection between calls.
    """

    def __init__(self, url: str | None = None) -> None:
        self._daemon = endpoint(url)
        self.url = self._daemon.url
        self.images = Images(self._daemon, self._do, self._stream)
        self.volumes = Volumes(self._daemon, self._do)
        self.networks = Networks(self._do)
        self.secrets, self.configs = Secrets(self._typed), Configs(self._typed)

    def __repr__(self) -> str:
        return f"Client({self.url!r})"

    def apply(
        self,
        pods: Spec | Sequence[Spec],
        *,
        wait: bool = False,
        timeout: float = WAIT,
        prune: str | None = None,
        plan: str | None = None,
    ) -> list[Status]:
        """Create or replace the pods, all or none, and answer their statuses.

        With `wait`, not before each is ready or has succeeded; raises Failed when one cannot, Timeout. `prune`
        is a label selector: pods that match it and are not among `pods` are deleted. `plan` is the token of a
        plan: raises Conflict when another one would be carried out now. Raises InvalidSpec with every fault.
        """
        return self._typed(calls.apply(pods, wait=wait, timeout=timeout, prune=prune, plan=plan))

    def plan(self, pods: Spec | Sequence[Spec], *, prune: str | None = None) -> Plan:
        """What `apply` would do, step by step; nothing is changed. Raises InvalidSpec."""
        return self._typed(calls.plan(pods, prune=prune))

    def get(self, name: str) -> Pod:
        """The desired spec. Raises NotFound."""
        return self._do(calls.get(name))

    def list(self, selector: str | None = None) -> list[Status]:
        """The status of every pod, or of those whose labels match `selector` (`a=b,c!=d,e,!f`)."""
        return self._do(calls.list_(selector))

    def status(self, name: str) -> Status:
        """All that is observed of the pod. Raises NotFound."""
        return self._do(calls.status(name))

    def why(self, name: str) -> Why:
        """What the pod waits for or why it died, with the evidence and what comes next. Raises NotFound."""
        return self._do(calls.why(name))

    def delete(self, name: str, *, grace: float | None = None) -> Status:
        """Delete the pod; answered when accepted. `grace`: seconds instead of the spec's. Raises NotFound."""
        return self._do(calls.delete(name, grace=grace))

    def restart(self, name: str, *, container: str | None = None, pull: bool = False) -> Status:
        """Restart all containers or one, back-off forgotten; `pull` resolves the image anew. Raises NotFound."""
        return self._do(calls.restart(name, container=container, pull=pull))

    def wait(self, name: str, wanted: str = "ready", *, timeout: float = WAIT) -> Status:
        """Wait until the pod is ready, running, succeeded, failed or gone. Raises Timeout; Failed when it cannot."""
        return self._do(calls.wait(name, wanted, timeout=timeout))

    def history(self, name: str) -> Sequence[Revision]:
        """Every kept revision, newest first; it survives deletion. Raises NotFound."""
        return self._do(calls.history(name))

    def stats(self, name: str | None = None) -> Sequence[PodStats]:
        """What the interfaces of one pod, or of each with a network of its own, have carried. Raises NotFound."""
        return self._do(calls.stats(name))

    def rollback(self, name: str, *, to: int | None = None) -> Status:
        """Apply an earlier revision again; None: the one before the current. Raises NotFound."""
        return self._do(calls.rollback(name, to=to))

    def info(self) -> dict[str, Any]:
        """About the daemon and its machine."""
        return self._do(calls.info())

    def df(self) -> DiskUsage:
        """The owner of every byte below the data directory."""
        return self._do(image_calls.df())

    def logs(
        self,
        name: str,
        *,
        container: str | None = None,
        tail: int | None = None,
        since: float | None = None,
        previous: bool = False,
        follow: bool = False,
    ) -> Iterator[LogLine]:
        """The container's output over all its restarts. `since`: wall-clock seconds; `follow` never ends by itself."""
        options: dict[str, Any] = {"container": container, "tail": tail, "since": since}
        return self._stream(calls.logs(name, previous=previous, follow=follow, **options))

    def events(self, name: str | None = None, *, follow: bool = False) -> Iterator[Event]:
        """What happened to one pod or to all, oldest first."""
        return self._stream(calls.events(name, follow=follow))

    def exec(
        self,
        name: str,
        argv: Sequence[str],
        *,
        container: str | None = None,
        stdin: bytes | str | None = None,
        tty: bool | None = None,
        **surroundings: Unpack[Surroundings],
    ) -> ExecResult:
        """Run a command beside the container's own (the first container's, unless named).

        With no `stdin`, and a terminal on both ends (or `tty=True`), it is interactive and the output goes to the
        terminal; else it is collected. A command that cannot be run has exit code 126 or 127, and why stands in
        its `stderr`. `env`, `cwd` and `user` are the container's unless given. Raises NotFound, Failed, Unavailable.
        """
        from tank.client import sessions

        given = stdin.encode() if isinstance(stdin, str) else stdin
        request = sessions.request(argv, **surroundings)
        return sessions.execute(self._daemon, name, container, request, stdin=given, tty=tty)

    def attach(self, name: str, *, container: str | None = None, detach_keys: str = "ctrl-p,ctrl-q") -> int | None:
        """Connect this terminal to the container's streams; the exit code of the container, None after detaching."""
        from tank.client import sessions

        return sessions.attach(self._daemon, name, container, detach_keys)

    def _do(self, call: Call[T]) -> T:
        timeout = self._daemon.timeout if call.seconds is None else call.seconds
        options: dict[str, Any] = {"body": call.body, "headers": call.headers, "timeout": timeout}
        return call.decode(self._daemon.json(call.method, call.path, call.query, **options))

    def _typed(self, call: Call[T]) -> T:
        try:
            return self._do(call)
        except TankError as error:
            raise calls.untyped(error) from None

    def _stream(self, call: Call[T]) -> Iterator[T]:
        return map(call.decode, self._daemon.lines(call.path, call.query, method=call.method))

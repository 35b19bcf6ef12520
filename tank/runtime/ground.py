"""What every part of the runtime driver stands on."""

from __future__ import annotations

from tank.config import Settings
from tank.host.cgroup import Groups
from tank.host.netns import Namespaces
from tank.host.watch import Watcher
from tank.runtime import bundle
from tank.runtime.conmon import Conmon
from tank.runtime.crun import Crun
from tank.runtime.death import Deaths
from tank.runtime.equipment import Programs
from tank.runtime.inputs import Inputs
from tank.runtime.logs import Archive
from tank.runtime.oom import OomWatch
from tank.runtime.places import Attempt
from tank.runtime.sandbox import Sandboxes


class Ground:
    """Settings, programs and watches; all but the first four are there from `open` on."""

    _crun: Crun
    _conmon: Conmon
    _groups: Groups
    _host: bundle.Host
    _watcher: Watcher
    _sandboxes: Sandboxes
    _deaths: Deaths
    _ooms: OomWatch
    _archive: Archive

    def __init__(self, settings: Settings, installation: str, programs: Programs | None = None) -> None:
        """`installation`: the 6 hex digits that mark all we make."""
        self._settings = settings
        self._installation = installation
        self._programs = programs or Programs()
        self._namespaces = Namespaces()
        self._inputs = Inputs(settings)

    def _attempt(self, uid: str, container: str, number: int) -> Attempt:
        return Attempt(settings=self._settings, uid=uid, container=container, number=number)

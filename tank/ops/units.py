"""The text of the files that start Tank with the machine. Pure.

Two units, because containers outlive the daemon (R08). `tank.service` is the daemon alone: a leaf of the control
group tree, and stopping it kills nobody but the daemon. `tank-pods.service` is a unit whose delegated group holds
the pods; it is never restarted with the daemon. Being ordered after it, the daemon is stopped before it when the
machine goes down, and has the time to stop the pods with their grace.

A sleeper holds the delegated group: systemd drops one in which nothing lives. It sits in a group below, since a
version 2 group with processes of its own may give no controllers to those below it.
"""

from __future__ import annotations

from tank.host import cgroup

DAEMON, PODS = cgroup.UNIT, cgroup.PODS_UNIT

# In shell words; systemd wants each dollar twice. Without a version 2 tree at this place the sleeper stays where it is.
_HOLD = (
    f"group=/sys/fs/cgroup$(sed -n s/^0:://p /proc/self/cgroup)/{cgroup.HOLDER}; sleep infinity & "
    "[ ! -e ${group%/*}/cgroup.procs ] || { mkdir -p $group && echo $! >$group/cgroup.procs; }"
)

_DAEMON = """\
[Unit]
Description=Tank, a declarative container orchestrator
Wants=tank-pods.service network-online.target
After=tank-pods.service network-online.target local-fs.target nss-lookup.target

[Service]
Type=notify
NotifyAccess=main
ExecStart={command}
KillMode=process
Restart=always
RestartSec=1s
TimeoutStopSec=10min
UMask=0077
LimitNOFILE=1048576
TasksMax=infinity
OOMScoreAdjust=-900

[Install]
WantedBy=multi-user.target
"""

_PODS = """\
[Unit]
Description=The pods of Tank

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c '{hold}'
Delegate=yes
TasksMax=infinity

[Install]
WantedBy=multi-user.target
"""

_SCRIPT = """\
#!/bin/sh
### BEGIN INIT INFO
# Provides:          tank
# Required-Start:    $remote_fs $network $syslog
# Required-Stop:     $remote_fs $network $syslog
# Default-Start:     2 3 4 5
# Default-Stop:      0 1 6
# Short-Description: Tank, a declarative container orchestrator
### END INIT INFO
# Stopping ends the daemon alone: the containers run on and are taken up again by the next start.
pidfile=/run/tank.pid
case "${{1:-}}" in
    start) exec start-stop-daemon --start --oknodo --background --make-pidfile --pidfile $pidfile \\
        --umask 077 --output /var/log/tank.log --startas {command} ;;
    stop) exec start-stop-daemon --stop --oknodo --remove-pidfile --pidfile $pidfile --retry TERM/30/KILL/5 ;;
    restart|force-reload) "$0" stop && exec "$0" start ;;
    status) start-stop-daemon --status --pidfile $pidfile ;;
    *) echo "usage: $0 start|stop|restart|status" >&2; exit 2 ;;
esac
"""


def systemd(command: str) -> dict[str, str]:
    """File name to text of both units; `command` starts the daemon in the foreground."""
    hold = _HOLD.replace("$", "$$").replace("%", "%%")
    return {DAEMON: _DAEMON.format(command=command), PODS: _PODS.format(hold=hold)}


def script(program: str) -> str:
    """An init script for machines without systemd; `program` is one word and its arguments."""
    word, _, arguments = program.partition(" ")
    return _SCRIPT.format(command=f"{word} -- {arguments}" if arguments else word)

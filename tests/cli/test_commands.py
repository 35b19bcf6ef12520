"""Every command against a daemon with a node in memory: what it prints, and its exit code."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from tank.model.desired import Event
from tank.model.status import ContainerStatus, Status
from tests.api.node import NOON, FakeNode, Line
from tests.cli.conftest import Daemon, Tank

WEB = """\
name: web
labels: {app: web}
containers:
  - name: app
    image: nginx:1.27
"""


@pytest.fixture
def web(tank: Tank, daemon: Daemon) -> FakeNode:
    """The node with the pod `web`, applied."""
    (tank.home / "web.yaml").write_text(WEB)
    assert tank("apply", "-f", "web.yaml").returncode == 0
    return daemon.node


def test_list_is_a_table(tank: Tank, web: FakeNode) -> None:
    code, out, err = tank.says("list")
    head, row = out.splitlines()

    assert (code, err) == (0, "")
    assert head.split() == ["NAME", "STATUS", "READY", "RESTARTS", "AGE", "ADDRESSES", "IMAGE"]
    assert [*row.split()[:4], *row.split()[5:]] == ["web", "running", "1/1", "2", "10.0.0.5", "nginx:1.27"]


def test_a_reason_stands_in_place_of_the_phase(tank: Tank, web: FakeNode) -> None:
    web.statuses["web"] = replace(web.statuses["web"], reason="CrashLoopBackOff", ready=False)

    assert "CrashLoopBackOff" in tank.says("list")[1]


@pytest.mark.parametrize("words", [("-o", "json", "list"), ("list", "-o", "json"), ("list", "--output=json")])
def test_global_flags_stand_before_and_after(tank: Tank, web: FakeNode, words: tuple[str, ...]) -> None:
    code, out, _ = tank.says(*words)

    assert (code, json.loads(out)[0]["name"]) == (0, "web")


def test_yaml_and_names(tank: Tank, web: FakeNode) -> None:
    assert yaml.safe_load(tank.says("list", "-o", "yaml")[1])[0]["containers"][0]["restarts"] == 2
    assert tank.says("list", "-o", "name") == (0, "web\n", "")
    assert tank.says("list", "-l", "app!=web", "-o", "name") == (0, "", "")


def test_wide_has_uid_and_revision(tank: Tank, web: FakeNode) -> None:
    head, row = tank.says("list", "-o", "wide")[1].splitlines()

    assert head.split()[-4:] == ["UID", "REVISION", "DIGEST", "PRIVILEGED"]
    assert row.split()[-4:] == ["0123456789ab", "1", "sha256:0123456789ab", "-"]


def test_get_prints_what_can_be_applied_again(tank: Tank, web: FakeNode) -> None:
    code, out, _ = tank.says("get", "web")
    again = tank.says("plan", "-f", "-", stdin=out.encode())

    assert (code, yaml.safe_load(out)["containers"][0]["image"]) == (0, "nginx:1.27")
    assert again == (0, "", "nothing to do\n")


def test_status_of_a_person(tank: Tank, web: FakeNode) -> None:
    web.statuses["web"] = replace(web.statuses["web"], created_at="")
    container = replace(web.statuses["web"].containers[0], last=(), pid=None)
    web.statuses["web"] = replace(web.statuses["web"], containers=(container,))

    assert tank.says("status", "web") == (
        0,
        (
            "web  running\n"
            "  revision:   1\n"
            "  address:    eth0 10.0.0.5/24 02:00:00:00:00:01\n"
            "  container app  running\n"
            "    image:      nginx:1.27 (sha256:0123456789ab)\n"
            "    restarts:   2\n"
        ),
        "",
    )


def test_status_of_a_program_is_the_documented_object(tank: Tank, web: FakeNode) -> None:
    one, all_ = json.loads(tank.says("status", "web", "-o", "json")[1]), json.loads(tank.says("status", "-ojson")[1])

    assert one["containers"][0]["last"][0]["exit_code"] == 1
    assert all_ == [one]


def test_why_gives_the_cause(tank: Tank, web: FakeNode) -> None:
    assert tank.says("why", "web") == (
        0,
        "web: it waits\n  because app ended with exit code 1: Error\n  next: start app\n",
        "",
    )


@pytest.mark.parametrize("verb", ["get", "status", "why", "history", "logs", "delete", "restart", "rollback", "diff"])
def test_a_pod_that_is_not_there_is_3(tank: Tank, verb: str) -> None:
    code, out, err = tank.says(verb, "nope")

    assert (code, out) == (3, "")
    assert err in ("tank: no pod is called nope\n", "tank: no pod is or was called nope\n")


def test_a_name_that_no_pod_can_have_is_2(tank: Tank) -> None:
    code, _, err = tank.says("get", "../x")

    assert code == 2
    assert "no pod name" in err


def test_no_daemon_is_5(tank: Tank, tmp_path: Path) -> None:
    tank.env["TANK_HOST"] = f"unix://{tmp_path}/none.sock"

    assert tank.says("list") == (5, "", f"tank: no daemon at unix://{tmp_path}/none.sock: is `tank serve` running?\n")


def test_only_unix_sockets_are_spoken_to(tank: Tank) -> None:
    code, _, err = tank.says("--host", "tcp://10.0.0.1:7777", "list")

    assert (code, err) == (2, "tank: cannot use tcp://10.0.0.1:7777: only unix:///path is supported yet\n")


def test_the_run_directory_of_the_environment_or_the_file_is_found(tank: Tank, daemon: Daemon, tmp_path: Path) -> None:
    del tank.env["TANK_HOST"]
    (tmp_path / "tank.toml").write_text(f'run_dir = "{daemon.settings.run_dir}"\n')

    assert tank.says("list", TANK_RUN_DIR=str(daemon.settings.run_dir))[0] == 0
    assert tank.says("list", TANK_CONFIG=str(tmp_path / "tank.toml"))[0] == 0


@pytest.mark.parametrize(
    "words",
    [
        ("lst",),
        ("list", "--foo"),
        ("wait", "web"),
        ("exec",),
        ("list", "-o", "xml"),
        ("delete",),
        ("rollback", "a", "--to", "x"),
    ],
)
def test_bad_usage_is_2_and_one_line(tank: Tank, words: tuple[str, ...]) -> None:
    code, out, err = tank.says(*words)

    assert (code, out, err.count("\n")) == (2, "", 1)


def test_help_is_for_everyone(tank: Tank) -> None:
    general, special = tank.says("--help"), tank.says("apply", "--help")

    assert (general[0], special[0]) == (0, 0)
    assert "rollback" in general[1]
    assert "--dry-run" in special[1]
    assert tank.says()[0] == 2
    assert tank.says("help", "list")[1].startswith("usage: tank list")


def test_faults_of_a_document_are_a_line_each(tank: Tank, daemon: Daemon) -> None:
    (tank.home / "bad.yaml").write_text("name: web\ncontainers:\n  - name: app\n    imagee: nginx\n")

    code, out, err = tank.says("apply", "-f", "bad.yaml")

    assert (code, out) == (2, "")
    assert "bad.yaml:4:5: containers[0].imagee: " in err
    assert "did you mean 'image'?" in err
    assert all(line.startswith("bad.yaml:") for line in err.splitlines())


def test_several_files_directories_and_a_program_are_one_apply(tank: Tank, daemon: Daemon) -> None:
    (tank.home / "web.yaml").write_text(WEB)
    folder = tank.home / "pods"
    folder.mkdir()
    (folder / "a.toml").write_text('name = "a"\n[[containers]]\nname = "c"\nimage = "x:1"\n')
    (folder / "b.json").write_text('{"name": "b", "containers": [{"name": "c", "image": "x:1"}]}')
    (folder / "c.py").write_text("raise SystemExit('not run')")
    (tank.home / "many.py").write_text(
        "from tank import Container, Pod\n"
        "pods = [Pod(name=f'n{i}', containers=(Container(name='c', image='x:1'),)) for i in range(2)]\n"
    )

    code, out, err = tank.says("apply", "-f", "web.yaml", "-f", "pods", "-f", "many.py", "-o", "name")

    assert (code, out.split(), err) == (0, ["web", "a", "b", "n0", "n1"], "")
    assert [name for name, _ in daemon.node.calls].count("apply") == 1


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("x = 1\npods = [1 / 0]\n", "p.py:2:1: ZeroDivisionError: division by zero\n"),
        ("def f(:\n", "p.py:1:1: SyntaxError"),
        ("x = 1\n", "p.py:it defines no `pods`\n"),
        ("pods = 'web'\n", "a pod is a mapping or a tank.Pod, not str\n"),
        ("pods = {'name': 'web', 'containers': [{'name': 'c', 'imag': 'x'}]}\n", "p.py:[0].containers[0].imag"),
    ],
)
def test_a_program_at_fault_is_told_like_a_document(tank: Tank, program: str, said: str) -> None:
    (tank.home / "p.py").write_text(program)

    code, _, err = tank.says("apply", "-f", "p.py")

    assert code == 2
    assert said in err
    assert "Traceback" not in err


def test_what_is_not_there_to_apply_is_said(tank: Tank) -> None:
    assert tank.says("apply", "-f", "no.yaml") == (3, "", "tank: cannot read no.yaml: there is no such file\n")
    assert tank.says("apply", "-f", "http://example.org/pod.yaml")[0] == 2
    assert tank.says("apply", "-f", "file:///etc/passwd")[0] == 2


def test_a_plan_is_10_with_changes_and_its_token_works(tank: Tank, web: FakeNode) -> None:
    (tank.home / "new.yaml").write_text(WEB.replace("1.27", "1.28"))

    code, out, err = tank.says("plan", "-f", "new.yaml")
    dry = tank.says("apply", "--dry-run", "-f", "new.yaml")
    stale = tank.says("apply", "-f", "new.yaml", "--plan", "abc")
    done = tank.says("apply", "-f", "new.yaml", "--plan", "token1")

    assert (code, dry) == (10, (code, out, err))
    assert out.splitlines()[:2] == [
        "POD  COST               FIELD                  CHANGE",
        "web  container_restart  containers[app].image  nginx:1.27 → nginx:1.28",
    ]
    assert out.splitlines()[4].split(maxsplit=4) == ["web", "none", "app", "create", "it is not there"]
    assert "--plan token1" in err
    assert (stale[0], stale[1], done[0]) == (4, out, 0)
    assert tank.says("plan", "-f", "new.yaml") == (0, "", "nothing to do\n")


def test_a_plan_for_a_program_has_every_value_whole(tank: Tank, web: FakeNode) -> None:
    note = "a long note " * 9
    (tank.home / "new.yaml").write_text(f"{WEB}\nannotations: {{note: {note!r}}}\n")

    people, program = tank.says("plan", "-f", "new.yaml")[1], tank.says("plan", "-f", "new.yaml", "-o", "json")[1]

    assert f"- → {note[:47]}…" in people
    assert json.loads(program)["changes"] == [
        {"pod": "web", "path": "annotations.note", "before": None, "after": note, "impact": "live"}
    ]


def test_prune_needs_a_selector(tank: Tank, web: FakeNode) -> None:
    without = tank.says("apply", "-f", "web.yaml", "--prune")
    done = tank.says("apply", "-f", "web.yaml", "--prune", "-l", "app=web")

    assert (without[0], done[0]) == (2, 0)
    assert ("apply", {"prune": "app=web", "expected": None}) in web.calls


def test_apply_waits_and_says_how_far_it_is(tank: Tank, web: FakeNode) -> None:
    code, out, err = tank.says("apply", "-f", "web.yaml", "--wait", "--timeout", "9s")

    assert (code, out) == (0, "web applied, revision 2\n")
    assert "web/app: running, ready" in err
    assert ("wait", ("web", "settled", 9.0)) in web.calls


def test_a_pod_that_failed_ends_the_wait_with_its_why(tank: Tank, web: FakeNode) -> None:
    web.statuses["web"] = replace(web.statuses["web"], phase="failed", ready=False)

    code, out, err = tank.says("wait", "web", "--for", "ready")

    assert (code, out) == (1, "")
    assert "because app ended with exit code 1" in err
    assert err.endswith("tank: pod web has failed\n")


def test_a_wait_that_takes_too_long_is_1(tank: Tank, web: FakeNode) -> None:
    code, _, err = tank.says("wait", "web", "--for", "failed", "--timeout", "100ms")

    assert (code, "is not failed after 0.1 s" in err) == (1, True)


def test_delete_takes_several_and_goes_on_after_a_failure(tank: Tank, web: FakeNode) -> None:
    code, out, err = tank.says("delete", "nope", "web", "--wait", "--grace", "1.5s")

    assert (code, out) == (3, "web deleted\n")
    assert "no pod is called nope" in err
    assert ("delete", 1.5) in web.calls


def test_restart_history_rollback_and_diff(tank: Tank, web: FakeNode) -> None:
    (tank.home / "new.yaml").write_text(WEB.replace("1.27", "1.28") + "grace: 5\n")
    tank("apply", "-f", "new.yaml")
    restart = tank.says("restart", "web", "-c", "app", "--pull")
    history = tank.says("history", "web")[1].splitlines()
    diff = tank.says("diff", "web")
    back = tank.says("rollback", "web", "--to", "1")
    same = tank.says("diff", "web", "1")

    assert (restart, back) == ((0, "web is being restarted\n", ""), (0, "web rolled back, revision 3\n", ""))
    assert [line.split()[0] for line in history] == ["REVISION", "2", "1"]
    assert diff == (
        1,
        (
            "--- web revision 1\n+++ web revision 2\n"
            "- containers[app].image: nginx:1.27\n+ containers[app].image: nginx:1.28\n"
            "- grace: 30.0\n+ grace: 5.0\n"
        ),
        "",
    )
    assert same == (0, "", "revision 1 is the same\n")


def test_logs_keep_streams_and_bytes_apart_and_mark_incarnations(tank: Tank, web: FakeNode) -> None:
    web.log = [
        Line(text=b"one \x1b[31mred\x1b[0m \xff\xfe"),
        Line(text=b"err", stream="stderr"),
        Line(text=b"half ", partial=True, attempt=1),
        Line(text=b"line", attempt=1),
    ]

    done = tank("logs", "web", "--tail", "5", "--since", "1h")

    assert done.stdout == b"one \x1b[31mred\x1b[0m \xff\xfe\nhalf line\n"
    assert done.stderr == b"err\n--- web: attempt 1 ---\n"
    assert next(what for call, what in web.calls if call == "logs")["tail"] == 5  # type: ignore[index]


def test_logs_with_timestamps(tank: Tank, web: FakeNode) -> None:
    web.log = [Line(text=b"one")]

    assert tank.says("logs", "web", "--timestamps")[1] == "2026-01-02T03:04:05.000000006Z one\n"


def test_events_are_a_line_each_without_what_steers_a_terminal(tank: Tank, web: FakeNode) -> None:
    web.happened = [
        Event(
            id=1, pod="web", uid="u", container="app", type="Warning", reason="Killed", message="a\x1b]0;b\x07\nc",
            count=2, first=NOON, last=NOON,
        )
    ]  # fmt: skip

    assert tank.says("events", "web") == (0, "2023-11-14 22:13:20  Warning  web/app  Killed: a]0;b c (x2)\n", "")


def test_info_version_schema(tank: Tank, daemon: Daemon) -> None:
    assert "pods:" in tank.says("info")[1]
    assert tank.says("version") == (0, "tank 0.1.0\ndaemon 0.1.0\n", "")
    assert tank.says("--version")[0] == 0
    assert "$schema" in json.loads(tank.says("schema", TANK_HOST="unix:///none")[1])


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_the_commands_and_asks_for_pods(tank: Tank, shell: str) -> None:
    code, out, _ = tank.says("completion", shell)

    assert code == 0
    assert "tank list -o name" in out
    assert "rollback" in out


def test_bash_completes_commands_flags_and_pods(tank: Tank, web: FakeNode) -> None:
    script = tank.says("completion", "bash")[1]
    shim = f'tank() {{ {" ".join(tank.argv())} "$@"; }}\n'
    ask = 'COMP_WORDS=({}); COMP_CWORD={}; _tank; echo "${{COMPREPLY[@]}}"\n'
    asked = ask.format("tank ro", 1) + ask.format("tank logs --prev", 2) + ask.format("tank -o json logs w", 4)

    done = subprocess.run(
        ["bash"], input=(script + shim + asked).encode(), env=tank.env, capture_output=True, check=True
    )

    assert done.stdout.decode().splitlines() == ["rollback", "--previous", "web"]


def test_a_closed_pipe_is_quiet(tank: Tank, web: FakeNode) -> None:
    web.log = [Line(text=b"x" * 1000)] * 500
    command = " ".join(tank.argv("logs", "web"))

    done = subprocess.run(
        ["bash", "-c", f"{command} | head -n 1 >/dev/null; echo ${{PIPESTATUS[0]}}"],
        env=tank.env, capture_output=True, check=True,
    )  # fmt: skip

    assert (done.stdout, done.stderr) == (b"141\n", b"")


def test_a_newer_daemons_fields_are_no_trouble(tank: Tank, web: FakeNode) -> None:
    odd = ContainerStatus(name="app", state="waiting", reason="ErrImagePull", message="no\x1b[2J such image")
    web.statuses["web"] = Status(name="web", containers=(odd,))

    assert "\x1b" not in tank.says("status", "web")[1]

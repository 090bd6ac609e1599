"""A run is dead once its process is: by /proc where that can tell, elsewhere by its heartbeat and its events."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import dagster as dg
import pytest

from hierflow.assets.liveness import active_runs, is_process_alive, living_runs, process_tag
from hierflow.assets.names import PROCESS_TAG, SET_TAG
from hierflow.assets.rest import at_work
from hierflow.assets.served_set import ServedSet
from hierflow.launch import home_of, instance_at
from hierflow.store.plans import Pointer
from hierflow.store.sealed import write_json
from hierflow_tests.assets.dagster_sets import DEAD_PROCESS, NAMES, Served
from hierflow_tests.image_sets import write_document

LONG_AGO = 601.0
PATIENCE = 240.0
ELSEWHERE = "another-boot:pid:[4026532000]:1:100"
STATUS = dg.DagsterRunStatus
PRINT_TAG = (
    "import sys; from hierflow.assets.liveness import process_tag as tag; print(tag(), flush=True); sys.stdin.read()"
)
NAMESPACE = ("unshare", "-Ur", "--pid", "--fork", "--kill-child", "--mount-proc")
OUTER_PROC = NAMESPACE[:-1]
OTHER_HOST = (
    *NAMESPACE,
    "--uts",
    "sh",
    "-c",
    'hostname other; echo 0a0a > $0/boot; mount --bind $0/boot /proc/sys/kernel/random/boot_id; shift 0; exec "$@"',
)
"""In a PID namespace of its own, under another host name and another boot id; its first argument is a folder."""


def has_namespaces() -> bool:
    """Whether this user may make PID namespaces here."""
    try:
        return subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


needs_namespaces = pytest.mark.skipif(not has_namespaces(), reason="`unshare -Ur --pid` is not allowed here")
needs_proc = pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="no /proc")


@pytest.fixture
def served(tmp_path: Path) -> Served:
    """A set in whose store nothing lies yet."""
    return Served(write_document(tmp_path))


def add_run(
    served: Served, status: dg.DagsterRunStatus, tags: dict[str, str], assets: Sequence[dg.AssetKey] | None = None
) -> str:
    """A run in Dagster's records that was made long ago and has logged one event then."""
    selection = frozenset(assets) if assets else None
    added = dg.DagsterRun(
        NAMES.subtree_job, status=status, tags={SET_TAG: "trial", **tags}, asset_selection=selection
    )
    served.instance.add_run(added)
    log_event(served, added.run_id, LONG_AGO)
    return added.run_id


def log_event(served: Served, run_id: str, age: float) -> None:
    """An event that a run logged `age` seconds ago."""
    when = time.time() - age
    served.instance.handle_new_event(
        dg.EventLogEntry(None, 20, "a message", run_id, when, job_name=NAMES.subtree_job, dagster_event=None)
    )


def write_heartbeat(served: ServedSet, run_id: str, age: float) -> None:
    """The heartbeat that a run wrote `age` seconds ago."""
    files = served.stage("r", "i").store.files
    write_json(files, f"heartbeats/{run_id}.json", {"time": time.time() - age})


def is_alive(served: Served, run_id: str) -> bool:
    """Whether the run counts as alive, to those who only look and to those who report what is dead."""
    living = [found.run_id for found in living_runs(served.instance, served.served)]
    active = [found.run_id for found in active_runs(served.instance, served.served)]
    assert living == active
    return run_id in active


def status_of(served: Served, run_id: str) -> dg.DagsterRunStatus:
    found = served.instance.get_run_by_id(run_id)
    assert found is not None
    return found.status


def test_this_process_is_alive_and_one_that_is_gone_is_not() -> None:
    assert is_process_alive(process_tag()) is True
    assert is_process_alive(DEAD_PROCESS) is False


@needs_proc
def test_another_process_of_the_same_number_is_another_process() -> None:
    process, started = process_tag().rsplit(":", 1)
    assert is_process_alive(f"{process}:{int(started) - 1}") is False


@pytest.mark.parametrize(
    "tag", ["", "something", ELSEWHERE, f"{os.uname().nodename}:{os.getpid()}:1", "unknown:1:1"], ids=range(5)
)
def test_a_process_that_cannot_be_seen_from_here_is_neither(tag: str) -> None:
    assert is_process_alive(tag) is None


@pytest.mark.parametrize(
    ("status", "tags", "expected"),
    [
        (STATUS.STARTED, {}, False),
        (STATUS.CANCELING, {}, False),
        (STATUS.NOT_STARTED, {}, True),  # Dagster's queue or launcher has it
        (STATUS.STARTING, {}, True),
        (STATUS.STARTED, {PROCESS_TAG: ELSEWHERE}, False),
        (STATUS.NOT_STARTED, {PROCESS_TAG: ELSEWHERE}, False),  # a command starts its runs at once
        (STATUS.STARTED, {PROCESS_TAG: process_tag()}, True),
        (STATUS.STARTED, {PROCESS_TAG: DEAD_PROCESS}, False),
    ],
)
def test_a_run_that_wrote_no_heartbeat_is_judged_by_its_events(
    served: Served, status: dg.DagsterRunStatus, tags: dict[str, str], expected: bool
) -> None:
    run_id = add_run(served, status, tags)
    assert is_alive(served, run_id) is expected
    ended_as = STATUS.CANCELED if status == STATUS.CANCELING else STATUS.FAILURE
    assert status_of(served, run_id) == (status if expected else ended_as)


@pytest.mark.parametrize("tags", [{}, {PROCESS_TAG: ELSEWHERE}])
def test_an_event_or_a_heartbeat_within_the_time_out_is_a_sign_of_life(served: Served, tags: dict[str, str]) -> None:
    run_id = add_run(served, STATUS.STARTED, tags)
    log_event(served, run_id, age=300)
    assert is_alive(served, run_id)
    write_heartbeat(served.served, run_id, age=300)
    assert is_alive(served, run_id)
    write_heartbeat(served.served, run_id, LONG_AGO)  # its step was at work, and is not any more
    assert not is_alive(served, run_id)
    assert served.served.stage("r", "i").store.files.list("heartbeats") == []


def test_a_run_that_makes_assets_of_others_too_is_dead_only_by_its_heartbeat(served: Served) -> None:
    both = [served.served.key("prompt_set"), dg.AssetKey("warehouse")]
    run_id = add_run(served, STATUS.STARTED, {}, both)
    assert is_alive(served, run_id)
    write_heartbeat(served.served, run_id, LONG_AGO)
    assert not is_alive(served, run_id)


def test_a_dead_run_gives_its_pool_back(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "home")) as instance:
        served, storage = Served(write_document(tmp_path), instance), instance.event_log_storage
        storage.set_concurrency_slots("gpu", 1)
        run_id = add_run(served, STATUS.STARTED, {})
        assert storage.claim_concurrency_slot("gpu", run_id, "step").is_claimed
        assert not is_alive(served, run_id)
        assert storage.claim_concurrency_slot("gpu", "another", "step").is_claimed


def test_a_command_elsewhere_is_at_work_between_two_runs_while_its_heartbeat_is_fresh(served: Served) -> None:
    add_run(served, STATUS.SUCCESS, {PROCESS_TAG: ELSEWHERE, "hierflow/invocation": "request"})

    def work() -> str | None:
        return at_work(served.instance, served.served, Pointer("plan", "request"))

    assert work() is None
    write_heartbeat(served.served, "request", age=300)
    assert work() == "a `hierflow run` in another process"
    write_heartbeat(served.served, "request", LONG_AGO)
    assert work() is None


@needs_namespaces
@pytest.mark.parametrize("around", [OUTER_PROC, OTHER_HOST], ids=["outer_proc", "other_host"])
def test_a_process_in_another_namespace_or_on_another_host_is_judged_by_its_heartbeat(
    served: Served, tmp_path: Path, around: tuple[str, ...]
) -> None:
    folder = [str(tmp_path)] if around is OTHER_HOST else []
    command = [*around, *folder, sys.executable, "-c", PRINT_TAG]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        tag = other.stdout.readline().strip()
        assert tag.startswith("0a0a:pid:" if around is OTHER_HOST else "unknown:")
        assert is_process_alive(tag) is None
        run_id = add_run(served, STATUS.STARTED, {PROCESS_TAG: tag})
        write_heartbeat(served.served, run_id, age=60)
        assert is_alive(served, run_id)
        other.kill()
    assert is_alive(served, run_id)
    write_heartbeat(served.served, run_id, LONG_AGO)
    assert not is_alive(served, run_id)


@needs_namespaces
def test_a_command_in_another_pid_namespace_is_alive_until_it_is_killed_and_its_heartbeat_is_old(
    tmp_path: Path,
) -> None:
    document = write_document(
        tmp_path, prompts={"text": ["a red mug", "a blue chair"]}, diffusion={"steps": 30}, sharing={"tau": 0.0}
    )
    environment = {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"}
    command = [*NAMESPACE, str(Path(sys.executable).parent / "hierflow"), "run", str(document)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as other:
        end = time.monotonic() + PATIENCE
        while not list((tmp_path / "out/trial/ledger/open").glob("*.progress.json")):
            assert other.poll() is None
            assert time.monotonic() < end
            time.sleep(0.005)
        child = int(Path(f"/proc/{other.pid}/task/{other.pid}/children").read_text())
        os.kill(child, signal.SIGSTOP)  # at work on a partition
        with instance_at(home_of(document)) as instance:
            served = Served(document, instance)
            (run_id,) = [found.run_id for found in active_runs(instance, served.served)]
            own = instance.get_run_by_id(run_id)
            assert own is not None
            assert own.tags[PROCESS_TAG].split(":")[-2] == "1"  # its process id, there
            store = served.served.stage("r", "i").store
            assert len(store.files.list("heartbeats")) == 2  # the run's and the command's
            other.kill()
            other.wait()
            assert is_alive(served, run_id)
            write_heartbeat(served.served, run_id, LONG_AGO)
            assert not is_alive(served, run_id)
            assert status_of(served, run_id) == STATUS.FAILURE  # so that the next command goes on from it

"""What /proc says of the machine and of the server's processes."""

import os

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from pasarela_server.observability.machine import (
    CpuTimes,
    Machine,
    process_kind,
    read_cpu_times,
    read_memory,
    read_process,
)

STAT = "cpu  100 10 50 800 40 5 5 0 7 0\ncpu0 1 2 3 4 5 6 7 8 0 0\nintr 1\n"
MEMINFO = "MemTotal:       1000 kB\nMemFree:         100 kB\nMemAvailable:    400 kB\nHugePages_Total:       0\n"
TICKS, PAGE = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")


def process_stat(name, seconds, pages):
    return (
        f"7 ({name}) S 1 7 7 0 -1 0 0 0 0 0 {seconds * TICKS // 2} {seconds * TICKS // 2} 0 0 20 0 1 0 5 999 {pages} 0"
    )


def test_the_kernels_texts_are_read():
    assert read_cpu_times(STAT) == CpuTimes(busy=170, total=1010)  # guests are counted as users already
    assert read_memory(MEMINFO) == (1000 * 1024, 600 * 1024)
    assert read_process(process_stat("a (b) c", 6, 3)) == (6.0, 3 * PAGE)


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        ("python\0-m\0pasarela_server.frontends\0", "front"),  # reason: how fronts are started
        ("python\0-m\0pasarela_server.backends.isolation\0", "instance"),  # reason: how isolated instances are
        ("python\0-m\0multiprocessing\0", "other"),  # reason: nothing of ours
        ("python\0-m\0", "other"),  # reason: cut short
        ("", "other"),  # reason: a process that has just ended
    ],
)
def test_a_process_is_known_by_what_it_runs(command, kind):
    assert process_kind(command) == kind


@pytest.fixture
def proc(tmp_path):
    """A machine with this process, a front and another one of its own, one of them gone."""
    own = tmp_path / str(os.getpid())
    (own / "task" / "1").mkdir(parents=True)
    (own / "task" / "1" / "children").write_text("71 72 ")
    (own / "task" / "2").mkdir()
    (own / "task" / "2" / "children").write_text("73")
    (own / "stat").write_text(process_stat("python", 4, 10))
    for pid in (71, 72):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "cmdline").write_text("python\0-m\0pasarela_server.frontends\0")
        (tmp_path / str(pid) / "stat").write_text(process_stat("python", 2, 5))
    (tmp_path / "stat").write_text(STAT)
    (tmp_path / "meminfo").write_text(MEMINFO)
    return tmp_path


def shown(machine):
    registry = CollectorRegistry()
    registry.register(machine)
    lines = generate_latest(registry).decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}


def test_the_server_is_shown_with_its_fronts(proc):
    found = shown(Machine(proc))
    assert found["nv_cpu_memory_total_bytes"] == 1000 * 1024
    assert found["nv_cpu_memory_used_bytes"] == 600 * 1024
    assert found['pasarela_processes{process="main"}'] == 1
    assert found['pasarela_processes{process="front"}'] == 2
    assert found['pasarela_processes_cpu_seconds{process="main"}'] == 4
    assert found['pasarela_processes_cpu_seconds{process="front"}'] == 4
    assert found['pasarela_processes_resident_memory_bytes{process="front"}'] == 10 * PAGE


def test_how_busy_the_processor_is_between_two_looks(proc):
    now_s = 0.0
    machine = Machine(proc, clock=lambda: now_s)
    assert shown(machine)["nv_cpu_utilization"] == 0
    (proc / "stat").write_text("cpu  400 10 50 900 40 5 5 0 7 0\n")
    now_s = 0.1
    assert shown(machine)["nv_cpu_utilization"] == 0, "too soon to say"
    now_s = 1.0
    assert shown(machine)["nv_cpu_utilization"] == pytest.approx(300 / 400)
    now_s = 1.1
    assert shown(machine)["nv_cpu_utilization"] == pytest.approx(300 / 400), "a second scraper is told the same"


def test_where_there_is_no_proc_nothing_is_shown(tmp_path):
    assert shown(Machine(tmp_path)) == {}

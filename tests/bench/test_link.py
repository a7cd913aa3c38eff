"""The benchmark itself, in short: needs root."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.bench import __main__ as bench_link

from ..real.packages import Unavailable

CHECKOUT = Path(__file__).resolve().parents[2]


def bench(*options):
    command = [sys.executable, "-m", "scripts.bench", "--profile", "lan", "--messages", "3", *options]
    return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=170)


@pytest.fixture
def root():
    if os.geteuid() != 0 or not os.path.exists("/dev/net/tun"):
        raise Unavailable("linkem", "only root can make network namespaces and TUN devices")


@pytest.mark.parametrize("workload, expected", [("out", 3), ("in", 3), ("both", 6)])
def test_a_run_of_amsmail(root, workload, expected, tmp_path):
    done = bench("--peer", "amsmail", "--workload", workload, "--json", "--pcap", tmp_path / "captures")
    assert done.returncode == 0, done.stderr
    [line] = done.stdout.splitlines()
    row = json.loads(line)
    assert {name: row[name] for name in ("peer", "profile", "workload", "delivered", "expected", "duplicates")} == {
        "peer": "amsmail", "profile": "lan", "workload": workload, "delivered": expected, "expected": expected,
        "duplicates": 0}
    assert row["air_s"] > row["floor_a"] > 0 and row["floor_b"] > 0
    assert row["turns"] > 0 and row["packets"] > 10
    assert (row["bytes_up"] > 6000) == (workload != "in") and (row["bytes_down"] > 12000) == (workload != "out")
    assert len(list((tmp_path / "captures").iterdir())) == 1
    hosts = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True).stdout
    assert not [name for name in hosts.split() if name.startswith("linkem-bench") and not in_use(name)]


def in_use(name):
    """Whether the benchmark with this network namespace is still running: somebody else's."""
    pid = "".join(filter(str.isdigit, name))
    return os.path.exists(f"/proc/{pid}")


def test_it_says_that_it_needs_root(monkeypatch, capsys):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(sys, "argv", ["bench-link"])
    assert bench_link.main() == 77
    assert "needs root" in capsys.readouterr().err


def test_it_tells_how_it_is_used():
    done = subprocess.run([CHECKOUT / "scripts/bench-link", "--help"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert all(option in done.stdout for option in ("--profile", "--peer", "--workload", "--runs", "--json"))

"""What a run says of the machine it ran on."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from energyknn.study.describing import describe_environment


def test_a_mac_names_its_processor(monkeypatch):
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: SimpleNamespace(stdout="Apple M9\n"))
    assert describe_environment("blocked")["cpu"] == "Apple M9"


@pytest.mark.parametrize("system", ["Darwin", "Windows"])
@pytest.mark.parametrize(("known", "expected"), [("a processor", "a processor"), ("", "a kind")])
def test_where_a_system_does_not_name_the_processor_python_does(monkeypatch, system, known, expected):
    def refuse(*_, **__):
        raise FileNotFoundError

    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(subprocess, "run", refuse)
    monkeypatch.setattr(Path, "read_text", refuse)
    monkeypatch.setattr(platform, "processor", lambda: known)
    monkeypatch.setattr(platform, "machine", lambda: "a kind")
    assert describe_environment("blocked")["cpu"] == expected


def test_where_a_system_does_not_bind_processes_to_cores_all_count(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert describe_environment("blocked")["threads"] == os.cpu_count()

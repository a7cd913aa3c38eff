"""What the tests of the transport share."""

import os

import pytest

from amsmail.transport import connect
from tests.store.disk import in_memory


@pytest.fixture
def names(monkeypatch):
    """Every name of a provider leads to loopback, so that certificates can be checked by name."""
    monkeypatch.setattr(connect, "addresses", lambda host: ["127.0.0.1"])


@pytest.fixture(autouse=True)
def no_flushing(monkeypatch):
    """What a power cut leaves is emulated (tests/store/disk.py); flushing for real would only take time."""
    monkeypatch.setattr(os, "fsync", lambda fd: None)


@pytest.fixture
def tmp_path(tmp_path):
    with in_memory(tmp_path) as folder:
        yield folder

"""Signals: the first one requests a stop, the second one stops at once; among several processes they come twice."""

import os
import signal
import time

import pytest

from simulacra.training import runtime
from simulacra.training.runtime import StopSignal


@pytest.fixture(autouse=True)
def plain():
    """SIGINT and SIGTERM are what they were before, whatever a test does."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def interrupted_twice() -> int | None:
    """What was received in the end."""
    with StopSignal() as stop:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0)  # for the interpreter to notice
        return stop.received


def test_the_second_signal_stops_at_once():
    with pytest.raises(KeyboardInterrupt):
        interrupted_twice()


def test_a_signal_that_torchrun_passes_on_is_the_one_that_the_terminal_has_sent(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert interrupted_twice() == signal.SIGINT
    monkeypatch.setattr(runtime, "PASSED_ON", -1.0)  # and later it is a second one
    with pytest.raises(KeyboardInterrupt):
        interrupted_twice()


def test_one_of_several_processes_that_fails_is_not_ended_before_it_has_said_why(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(RuntimeError, match="why"), StopSignal():
        raise RuntimeError("why")
    os.kill(os.getpid(), signal.SIGTERM)
    monkeypatch.setenv("WORLD_SIZE", "1")
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with pytest.raises(RuntimeError, match="why"), StopSignal():
        raise RuntimeError("why")
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL

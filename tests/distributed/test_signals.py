"""Signals as requests to stop a run."""

from __future__ import annotations

import os
import signal

import pytest

from seqmodels.distributed.signals import StopRequest, stop_on_signals


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_is_a_request(
    number: signal.Signals, status: int, capfd: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(number)
    with stop_on_signals(StopRequest()) as stop:
        assert stop.exit_status == 0
        os.kill(os.getpid(), number)
        assert stop.exit_status == status
    assert signal.getsignal(number) is before
    assert ("Ctrl-C again" in capfd.readouterr().err) is (number == signal.SIGINT)


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
def test_a_ctrl_c_after_a_request_interrupts(first: signal.Signals) -> None:
    interrupted = False
    try:
        with stop_on_signals(StopRequest()):
            os.kill(os.getpid(), first)
            os.kill(os.getpid(), signal.SIGINT)
    except KeyboardInterrupt:
        interrupted = True
    assert interrupted


def test_a_ctrl_c_in_response_to_the_line_interrupts() -> None:
    """It arrives while the handler of the first is still running."""
    lines = []

    def answer(descriptor: int, line: bytes) -> None:
        lines.append(line)
        if len(lines) == 1:
            signal.raise_signal(signal.SIGINT)

    interrupted = False
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "write", answer)
        try:
            with stop_on_signals(StopRequest()):
                signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            interrupted = True
    assert interrupted
    assert len(lines) == 1

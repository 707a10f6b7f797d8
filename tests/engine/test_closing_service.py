"""Closing a service whose caller is cancelled meanwhile."""

import asyncio
import os
import signal
import sys

import psutil
import pytest

from ggufrun.engine.service import Service
from tests.engine.services import settings

pytestmark = pytest.mark.process


@pytest.mark.skipif(sys.platform == "win32", reason="processes cannot be held there")
async def test_it_is_over_when_aclose_returns_also_where_that_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ggufrun.engine.service.STOP_S", 0.2)
    service = await Service.start(settings())
    pid = service.worker_pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)  # it does not end by itself
    closing = asyncio.create_task(service.aclose())
    for _ in range(3):
        await asyncio.sleep(0.001)
        closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(closing, 60)
    assert not psutil.pid_exists(pid)

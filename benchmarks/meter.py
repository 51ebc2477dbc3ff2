"""How long something took: by the clock on the wall, and in CPU seconds of this process or of a child."""

import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class Meter:
    """Seconds by the wall and of CPU; filled in when the block ends."""

    wall: float = 0.0
    cpu: float = 0.0
    peak_mib: float = 0.0  # resident memory, of a child only


@contextmanager
def measured() -> Iterator[Meter]:
    """Measure a block of this process, all its threads together."""
    meter = Meter()
    wall, cpu = time.perf_counter(), time.process_time()
    yield meter
    meter.wall, meter.cpu = time.perf_counter() - wall, time.process_time() - cpu


def child(command: Sequence[str], env: Mapping[str, str]) -> Meter:
    """Run a process to its end and measure it. Raises RuntimeError when it fails."""
    began = time.perf_counter()
    process = subprocess.Popen(command, env=dict(env), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{output.decode()[-2000:]}")
    return Meter(time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)

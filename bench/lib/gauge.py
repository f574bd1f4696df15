"""What a program costs: wall time, CPU of the process and its children, and its peak memory."""
import os
import subprocess
import threading
import time
from dataclasses import dataclass, field

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
# Peaks never fall, so only what is gained in the last moment of a process can be missed.
SAMPLE_SECONDS = 0.01
# A program that is done at once is looked at more often.
EARLY_SECONDS, EARLY_SAMPLE_SECONDS = 0.1, 0.002


@dataclass
class Cost:
    code: int
    wall: float  # seconds
    cpu: float  # seconds, user and system
    peak: float  # MiB: VmHWM, summed over a process and its children
    written: float  # KiB that reached the file system
    server: dict = field(default_factory=dict)  # CPU seconds of each database server meanwhile


def read(path):
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""


def number(text, key):
    for line in text.splitlines():
        if line.startswith(key):
            return int(line.split()[1])
    return 0


def children(pid):
    found = []
    for thread in os.listdir(f"/proc/{pid}/task") if os.path.isdir(f"/proc/{pid}/task") else []:
        found += [int(child) for child in read(f"/proc/{pid}/task/{thread}/children").split()]
    return found


def tree(pid):
    """The process and everything below it."""
    found = [pid]
    for child in children(pid):
        found += tree(child)
    return found


def peak_of(pids):
    return sum(number(read(f"/proc/{pid}/status"), "VmHWM:") for pid in pids) / 1024


def resident(pid):
    return number(read(f"/proc/{pid}/status"), "VmRSS:") / 1024


def cpu_of(pid, with_reaped=False):
    """CPU seconds of a process so far, with those of its children that have ended if asked for."""
    text = read(f"/proc/{pid}/stat")
    if not text:
        return 0.0
    fields = text[text.rindex(")") + 2 :].split()
    return sum(int(value) for value in fields[11 : 15 if with_reaped else 13]) / TICKS_PER_SECOND


def server_cpu(pids):
    """CPU seconds of database servers. PostgreSQL has a process for each connection."""
    return {
        name: cpu_of(pid, with_reaped=True) + sum(cpu_of(child) for child in children(pid)) for name, pid in pids.items()
    }


def run(command, env, cwd, log, servers, with_children=False):
    """Runs a program to its end. What it says goes to the file `log`."""
    before = server_cpu(servers)
    peak, written, ended = [0.0], [0], threading.Event()
    with open(log, "wb") as output:
        began = time.monotonic()
        process = subprocess.Popen(command, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=output)

        def watch():
            while not ended.wait(SAMPLE_SECONDS if time.monotonic() - began > EARLY_SECONDS else EARLY_SAMPLE_SECONDS):
                peak[0] = max(peak[0], peak_of(tree(process.pid) if with_children else [process.pid]))
                written[0] = max(written[0], number(read(f"/proc/{process.pid}/io"), "write_bytes:"))

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            raise
        finally:
            ended.set()
        wall = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    watcher.join()
    after = server_cpu(servers)
    spent = {name: after[name] - before[name] for name in after}
    cpu = usage.ru_utime + usage.ru_stime
    return Cost(process.returncode, wall, cpu, peak[0], written[0] / 1024, spent)

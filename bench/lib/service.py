"""P6 and P7: the service with many small pipelines, and the way of one booking from its commit to the platform."""
import json
import os
import random
import signal
import subprocess
import time

from lib import gauge
from lib.figures import Figure, percentile
from lib.measures import DATABASES
from lib.world import START_SECONDS_MAX, Wrong

PIPELINES = 200
# Bookings of the last hours for each pipeline.
ROWS_EACH = 50
# The pipeline that runs every second.
FAST = PIPELINES
PERIOD_SECONDS = 60
# Runs of a fresh service, before what it costs is measured.
WARM_SECONDS = 75
# Time between two bookings that are watched on their way.
PAUSE_SECONDS = (0.3, 1.1)
# Longest time that the way of a booking is waited for.
ARRIVAL_SECONDS_MAX = 15

FILL = {
    "postgres": """TRUNCATE live_booking; INSERT INTO live_booking
        SELECT p * 1000 + n, 'FA-' || p || '-' || (n + 1) / 2, 'PRD-1', 'L-' || p,
               CASE WHEN n % 2 = 1 THEN 'S' ELSE 'E' END, t, t, 0, 0, NULL, NULL, p
        FROM generate_series(0, {last}) p, generate_series(1, {each}) n,
             LATERAL (SELECT now() AT TIME ZONE 'Europe/Istanbul' - (240 - n) * interval '1 minute' AS t) x""",
    "mariadb": """TRUNCATE live_booking; INSERT INTO live_booking
        SELECT p.seq * 1000 + n.seq, CONCAT('FA-', p.seq, '-', (n.seq + 1) DIV 2), 'PRD-1', CONCAT('L-', p.seq),
               IF(n.seq MOD 2 = 1, 'S', 'E'), UTC_TIMESTAMP(3) - INTERVAL 60 - n.seq MINUTE,
               UTC_TIMESTAMP(3) - INTERVAL 60 - n.seq MINUTE, 0, 0, NULL, NULL, p.seq
        FROM seq_0_to_{last} p, seq_1_to_{each} n""",
}


def specs(world, folder):
    """Copies of the two specs for many pipelines, half of each database, and one of a pipeline that runs every second."""
    os.makedirs(f"{folder}/specs", exist_ok=True)
    for number in range(PIPELINES + 1):
        database = DATABASES[number % 2]
        with open(world.spec(f"live-{database}")) as file:
            text = file.read()
        text = text.replace(f"id: live-{database}", f"id: live-{number}").replace("pipeline: 0", f"pipeline: {number}")
        if number == FAST:
            text = text.replace("{ every: 1m, jitter: 1m }", "{ every: 1s }")
        with open(f"{folder}/specs/live-{number}.yaml", "w") as file:
            file.write(text)


class Session:
    """A connection to PostgreSQL that stays open, as a terminal's would."""

    def __init__(self, world):
        script = 'source "$BENCH/env.sh"; postgres_sql -At'
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
        self.process = subprocess.Popen(["bash", "-c", script], env=world.env, **pipes)

    def commit(self, statement):
        """When the statement was committed, in seconds since 1970."""
        self.process.stdin.write(f"{statement};\n\\echo done\n")
        while self.process.stdout.readline() != "done\n":
            if self.process.poll() is not None:
                raise Wrong("the session of the plant ended")
        return time.time()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def runs_of(log):
    """(pipeline, start in seconds since 1970) of every run that the log tells of, and what failed."""
    starts, failures = [], []
    for line in gauge.read(log).splitlines():
        if not line.startswith("{"):
            continue
        entry = json.loads(line)
        at = time.mktime(time.strptime(entry["timestamp"][:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
        at += float(f"0.{entry['timestamp'][20:].rstrip('Z')}")
        if entry.get("event") == "run_finished":
            starts.append((entry["pipeline"], at - entry["millis"] / 1000))
        elif entry["level"] == "ERROR":
            failures.append(entry["message"])
    return starts, failures


def lateness(starts):
    """How late each run began, against the earliest beginning that its series of minutes allows."""
    series = {}
    for pipeline, at in starts:
        if pipeline != f"live-{FAST}":
            series.setdefault(pipeline, []).append(at)
    late = []
    for times in series.values():
        if len(times) == 1:
            continue
        offsets = [at - number * PERIOD_SECONDS for number, at in enumerate(sorted(times))]
        late += [offset - min(offsets) for offset in offsets]
    return late


def measure(world, seconds):
    """Runs the service for some time, and gives the figures of P6 and P7."""
    folder = world.folder("service")
    specs(world, folder)
    for database in DATABASES:
        world.sql(database, FILL[database].format(last=PIPELINES, each=ROWS_EACH))
    # Half of the bookings of each pipeline start something; its order numbers are its own.
    expected = (PIPELINES + 1) * ROWS_EACH // 2
    world.ask("/reset", "POST")
    log = f"{folder}/output.log"
    with open(log, "wb") as output:
        command = [world.engine, "run", f"{folder}/specs"]
        streams = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": output}
        service = subprocess.Popen(command, env=world.env, cwd=folder, **streams)
    session = Session(world)
    committed, resident = {}, 0.0
    try:
        time.sleep(WARM_SECONDS)
        if service.poll() is not None:
            raise Wrong(f"the service ended: {gauge.read(log)[-800:]}")
        delivered = world.ask("/stats")["runs"]
        if delivered != expected:
            raise Wrong(f"the service delivered {delivered} runs, and {expected} is right")
        cpu, began = gauge.cpu_of(service.pid), time.monotonic()
        while time.monotonic() - began < seconds:
            time.sleep(random.uniform(*PAUSE_SECONDS))
            new = FAST * 1000 + ROWS_EACH + 1 + len(committed)
            row = f"{new}, 'FA-{new}', 'PRD-1', 'W-{new}', 'S', t, t, 0, 0, NULL, NULL, {FAST}"
            now = "clock_timestamp() AT TIME ZONE 'Europe/Istanbul' AS t"
            committed[new] = session.commit(f"INSERT INTO live_booking SELECT {row} FROM (SELECT {now}) x")
            resident = max(resident, gauge.resident(service.pid))
        cpu, spent = gauge.cpu_of(service.pid) - cpu, time.monotonic() - began
        peak = gauge.peak_of([service.pid])
        until = time.monotonic() + ARRIVAL_SECONDS_MAX
        while world.ask("/stats")["runs"] < expected + len(committed) and time.monotonic() < until:
            time.sleep(0.2)
        seen = {int(key): micros / 1e6 for key, micros in world.ask("/seen").items()}
    finally:
        session.close()
        service.send_signal(signal.SIGTERM)
        service.wait()
    starts, failures = runs_of(log)
    if failures:
        raise Wrong(f"the service failed: {failures[0]}")
    if missing := [new for new in committed if new not in seen]:
        raise Wrong(f"{len(missing)} of {len(committed)} bookings did not arrive")
    late = lateness(starts)
    ways = [seen[new] - at for new, at in committed.items()]
    note = f"{len(late):,} starts of {PIPELINES} pipelines in {spent:.0f} s"
    p6 = [
        Figure("P6", "service, resident", resident, "MiB", 48, digits=1, note=f"peak {peak:.1f}"),
        Figure("P6", "service, CPU of one core", cpu / spent * 100, "%", 3, 1, note="with the pipeline of P7"),
        Figure("P6", "start lateness, p99", percentile(late, 99) * 1000, "ms", 250, digits=0, note=note),
    ]
    note = f"{len(ways)} bookings, median {percentile(ways, 50):.2f} s"
    return p6 + [Figure("P7", "commit to acknowledged, p99", percentile(ways, 99), "s", 1.5, 1.2, note=note)]

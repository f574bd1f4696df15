"""The world around a measured program: databases, the sink, the programs, and the states that runs leave."""
import argparse
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request

from lib import gauge

BENCH = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ROOT = os.path.dirname(BENCH)
# Longest wait for a server to answer, in seconds.
START_SECONDS_MAX = 10


def size(text):
    """How many bookings a plant has, as it is asked for."""
    rows = int(text)
    if rows % 1000 or rows < 10_000:
        raise argparse.ArgumentTypeError("a multiple of 1000, and at least 10000")
    return rows


class Wrong(Exception):
    """A run whose result is not the truth. It is no figure."""


class World:
    """Databases with `rows` bookings, a sink, the engine and the floor."""

    def __init__(self, rows):
        self.rows = rows
        env = dict(os.environ, ROWS=str(rows))
        script = 'source "$1/env.sh" && env -0'
        said = subprocess.run(["bash", "-c", script, "bash", BENCH], env=env, check=True, capture_output=True).stdout
        self.env = dict(line.split("=", 1) for line in said.decode().split("\0") if "=" in line)
        self.work = self.env["BENCH_WORK"]
        self.sink_address = f"127.0.0.1:{self.env['BENCH_SINK_PORT']}"
        self.env.update(
            BENCH_DATABASE=self.env["DB_NAME"],
            BENCH_PASSWORD="reader",
            BENCH_SINK=f"http://{self.sink_address}/deliveries",
            BENCH_SQLITE=f"{self.work}/{self.env['DB_NAME']}.db",
            BENCH_CSV=f"{self.work}/csv",
            SINK=self.sink_address,
            NO_COLOR="1",
            MALLOC_ARENA_MAX="1",
            MALLOC_TRIM_THRESHOLD_="8388608",
            MALLOC_MMAP_THRESHOLD_="33554432",
        )
        self.sink = None
        self.servers = {}
        self.engine = os.path.abspath(self.env.get("ENGINE_BIN") or f"{ROOT}/target/release/engine")
        # What the engine is started by, such as a profiler.
        self.under = []
        # Costs of first fills, by database and number of bookings.
        self.fills = {}

    def build(self, profile="release"):
        """The programs, as a release; the engine in a profile of its own, where that is asked for."""
        cargo = ["cargo", "build", "--quiet", "--locked"]
        tools = ["--release", "--manifest-path", f"{BENCH}/Cargo.toml", "-p", "bench-tools"]
        subprocess.run([*cargo, *tools], check=True)
        if not self.env.get("ENGINE_BIN"):
            subprocess.run([*cargo, "--profile", profile, "--bin", "engine"], cwd=ROOT, check=True)
            self.engine = f"{ROOT}/target/{profile}/engine"

    def start(self):
        for script in ("start", "load"):
            subprocess.run([f"{BENCH}/db/{script}"], env=self.env, check=True)
        self.servers = {
            name: int(gauge.read(f"{self.work}/{name}.pid").split()[0]) for name in ("postgres", "mariadb")
        }
        log = open(f"{self.work}/sink.log", "wb")
        self.sink = subprocess.Popen([self.tool("sink"), self.sink_address], stdout=log, stderr=log)
        until = time.monotonic() + START_SECONDS_MAX
        while True:
            if self.sink.poll() is not None:
                sys.exit(f"error: the sink does not start: {gauge.read(f'{self.work}/sink.log').strip()}")
            try:
                return self.ask("/stats")
            except OSError:
                if time.monotonic() > until:
                    sys.exit(f"error: the sink does not answer at {self.sink_address}")
                time.sleep(0.05)

    def stop(self):
        """The sink ends with the measures; the databases stay for the next ones."""
        if self.sink:
            self.sink.terminate()
            self.sink.wait()

    def tool(self, name):
        return f"{BENCH}/target/release/{name}"

    def ask(self, path, method="GET"):
        request = urllib.request.Request(f"http://{self.sink_address}{path}", method=method)
        with urllib.request.urlopen(request, timeout=START_SECONDS_MAX) as answer:
            return json.load(answer)

    def folder(self, name, fresh=True):
        """A working directory; the engine keeps its state there."""
        path = f"{self.work}/state/{name}"
        if fresh:
            shutil.rmtree(path, ignore_errors=True)
        os.makedirs(path, exist_ok=True)
        return path

    def spec(self, name):
        return f"{BENCH}/specs/{name}.yaml"

    def run(self, command, folder, expected, env=None, with_children=False):
        """Runs a program against the sink, and holds what came there against the truth: a dict of the sink's counts."""
        self.ask("/reset", "POST")
        log = f"{folder}/output.log"
        env = {**self.env, **(env or {})}
        told = " ".join(os.path.basename(part) for part in command[:4])
        if command[0] == self.engine:
            command = [*self.under, *command]
        cost = gauge.run(command, env, folder, log, self.servers, with_children)
        stats = self.ask("/stats")
        if cost.code != 0:
            raise Wrong(f"{told}: exit {cost.code}: {gauge.read(log)[-800:]}")
        for name, value in {"bad": 0, **expected}.items():
            if stats[name] != value:
                raise Wrong(f"{told}: {name} is {stats[name]}, and {value} is right: {stats['broken'] or log}")
        return cost

    def once(self, spec, folder, expected, now=None, env=None):
        """`engine run --once`."""
        frozen = ["--now", now] if now else []
        return self.run([self.engine, "run", "--once", *frozen, self.spec(spec)], folder, expected, env)

    def floor(self, database, what, sql, expected):
        folder = self.folder("floor")
        return self.run([self.tool("floor"), database, what], folder, expected, {"FEED_SQL": sql})

    def sql(self, database, text):
        """A statement of the plant itself, which owns its tables."""
        env = {**self.env, "STATEMENT": text}
        script = {
            "postgres": 'source "$BENCH/env.sh"; postgres_sql -Atc "$STATEMENT"',
            "mariadb": 'source "$BENCH/env.sh"; mariadb_sql -N -e "$STATEMENT" "$DB_NAME"',
        }[database]
        return subprocess.run(["bash", "-c", script], env=env, check=True, capture_output=True, text=True).stdout

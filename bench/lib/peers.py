"""Other programs on the same tables: what a full read and one new row cost with them."""
import os
import subprocess

from lib import plant
from lib.figures import median, shown
from lib.measures import COLUMNS, DATABASES, MILLION, NAMES, feed, floor, one_row
from lib.world import BENCH, Wrong

# What they write to, and how they are called.
PEERS = {
    "sling": ("JSON lines", [f"{BENCH}/peers/sling"]),
    "ingestr": ("JSON lines", [f"{BENCH}/peers/ingestr"]),
    "connectorx": ("CSV", ["{home}/bin/python", f"{BENCH}/peers/connectorx_csv.py"]),
    "dlt": ("HTTP", ["{home}/bin/python", f"{BENCH}/peers/dlt_http.py"]),
}


def version(home):
    """Name and version of the package, as it is installed."""
    name = {"sling": "sling-linux-amd64"}.get(os.path.basename(home), os.path.basename(home))
    command = [f"{home}/bin/pip", "show", name]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return next(line.split()[1] for line in said.splitlines() if line.startswith("Version:"))


def lines_of(path):
    with open(path, "rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))


def read_with(world, name, database, rows, only_new=False):
    """Reads everything, or what is new, and holds the number of rows against the truth."""
    home = f"{world.work}/peers/{name}"
    since = plant.local(world.rows + 10_000).isoformat(sep=" ")
    sql = f"SELECT {COLUMNS} FROM booking WHERE changed_at > '{since}'" if only_new else feed(rows)
    out = f"{world.work}/peers/out/{name}-{database}"
    command = [part.format(home=home) for part in PEERS[name][1]] + [database]
    to_sink = PEERS[name][0] == "HTTP"
    command.append(("new" if only_new else "full") if to_sink else out)
    if os.path.exists(out):
        os.remove(out)
    truth = {"rows": rows} if to_sink else {"requests": 0}
    env = {"FEED_SQL": sql, "SINCE": since}
    cost = world.run(command, world.folder(f"peer-{name}"), truth, env, with_children=True)
    if not to_sink and (found := lines_of(out)) != rows:
        raise Wrong(f"{name} wrote {found} rows, and {rows} is right")
    return cost


def compare(world, rounds):
    """Rows of a table: program, target, CPU s/M, × floor, rows/s, peak; one row: wall, CPU, peak."""
    subprocess.run([f"{BENCH}/peers/install"], env=world.env, check=True)
    for name, (target, _) in PEERS.items():
        home = f"{world.work}/peers/{name}"
        if not os.path.exists(f"{home}/installed"):
            yield f"| {name} | cannot be installed | | | | | |"
            continue
        for database in DATABASES:
            told = f"| {name} {version(home)}, {NAMES[database]} | {target} |"
            try:
                pairs = [
                    (read_with(world, name, database, world.rows), floor(world, database, world.rows))
                    for _ in range(rounds)
                ]
                ones = [
                    one_row(world, database, lambda _: read_with(world, name, database, 1, only_new=True))
                    for _ in range(rounds)
                ]
            except Wrong as error:
                yield f"{told} no figure: {str(error).splitlines()[0][:120]} | | | | |"
                continue
            cpu = median(cost.cpu for cost, _ in pairs) / world.rows * MILLION
            ratio = median(cost.cpu / least.cpu for cost, least in pairs)
            speed = world.rows / median(cost.wall for cost, _ in pairs)
            peak = median(cost.peak for cost, _ in pairs)
            wall, spent, small = (median(getattr(cost, part) for cost in ones) for part in ("wall", "cpu", "peak"))
            yield (
                f"{told} {shown(cpu, 2)} | {shown(ratio, 1)} | {shown(speed, 0)} | {shown(peak, 0)}"
                f" | {shown(wall, 2)} / {shown(spent, 2)} s, {shown(small, 0)} MiB |"
            )


HEAD = (
    "| program | target | CPU s/M | × floor | rows/s | peak MiB | one new row: wall / CPU, peak |\n"
    "| --- | --- | --: | --: | --: | --: | --- |"
)

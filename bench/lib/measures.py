"""One process at a time: read, compare and deliver. P3, P5, P9 and P10, and what P1, P2 and P4 run."""
import datetime
import os
import subprocess

from lib import plant
from lib.figures import Figure, median
from lib.world import Wrong

DATABASES = ("postgres", "mariadb")
NAMES = {"postgres": "PostgreSQL", "mariadb": "MariaDB", "sqlite": "SQLite", "csv": "CSV", "http": "HTTP"}
COLUMNS = "id, order_code, product_code, machine_code, event, booked_at, changed_at"
MILLION = 1e6
# Rows of the window that is read again and again.
WINDOW_ROWS = 100_000
# Rows that are read of every kind of source.
SOURCE_ROWS = 200_000
# Days of a slice whose statements are held against the same ones of a plain client.
P10_DAYS = 30
# The device config that an operator with little memory writes.
CAP_MIB = 48
CAP = f"version: 1\nlimits: {{ memory: {CAP_MIB}MiB }}\n"


def feed(rows):
    return f"SELECT {COLUMNS} FROM booking WHERE id <= {rows}"


def stateless(world, database, rows, slice="1d"):
    """A backfill of rows: the ledger and the outbox stay as they are."""
    command = [world.engine, "backfill", world.spec(f"rows-{database}"), "--from", "2024-01-01"]
    command += ["--to", plant.local(rows).isoformat(sep=" "), "--now", plant.instant(rows, days=2)]
    command += ["--slice", slice, "--yes"]
    return world.run(command, world.folder(f"rows-{database}"), plant.rows_truth(rows))


def first_fill(world, database, rows, env=None, config=None):
    """Everything that there is, folded to runs, with ledger and outbox on disk. `config` is a device config."""
    folder = world.folder(f"runs-{database}")
    if config:
        with open(f"{folder}/engine.yaml", "w") as file:
            file.write(config)
    return world.once(f"runs-{database}", folder, plant.runs_truth(rows), plant.instant(rows), env)


def first_orders(world, database):
    """The order table, where a row is a run."""
    orders = int(world.env["ORDERS"])
    folder = world.folder(f"orders-{database}")
    return world.once(f"orders-{database}", folder, plant.orders_truth(orders), plant.orders_instant(orders))


def floor(world, database, rows, what="post"):
    expected = plant.rows_truth(rows) if what == "post" else {"rows": 0}
    return world.floor(database, what, feed(rows), expected)


def first_fill_of_orders(world, rounds):
    orders = int(world.env["ORDERS"])
    for database in DATABASES:
        costs = [first_orders(world, database) for _ in range(rounds)]
        cpu = median(cost.cpu for cost in costs) / orders * MILLION
        yield Figure("P2", f"{NAMES[database]}: first fill of {orders:,} orders", cpu, "s/M")


def cap(world, rounds):
    """A first fill under a limit that its operator sets."""
    for database in DATABASES:
        costs = [first_fill(world, database, world.rows, config=CAP) for _ in range(rounds)]
        note = f"{median(cost.cpu for cost in costs) / world.rows * MILLION:.2f} s/M"
        peak = median(cost.peak for cost in costs)
        what = f"{NAMES[database]}: peak of a first fill, memory: {CAP_MIB}MiB"
        yield Figure("cap", what, peak, "MiB", CAP_MIB, digits=1, note=note)


def first_window(world, database):
    folder = world.folder(f"window-{database}")
    return world.once(f"window-{database}", folder, {"rows": 0}, plant.instant(world.rows))


def same_window(world, database):
    """The window once more: its rows are read, and nothing is sent."""
    folder = world.folder(f"window-{database}", fresh=False)
    nothing = {"rows": 0, "runs": 0, "deletes": 0, "requests": 0}
    cost = world.once(f"window-{database}", folder, nothing, plant.instant(world.rows))
    rows = min(WINDOW_ROWS, world.rows)
    with open(f"{folder}/output.log") as log:
        text = log.read()
    if f'"rows":{rows},' not in text:
        raise Wrong(f"P3 read another number of rows than {rows}: {text[-400:]}")
    return cost


def p3(world, rounds):
    rows = min(WINDOW_ROWS, world.rows)
    for database in DATABASES:
        first = first_window(world, database)
        costs = [same_window(world, database) for _ in range(rounds)]
        cpu = median(cost.cpu for cost in costs)
        note = f"{rows:,} rows, {median(cost.wall for cost in costs):.2f} s wall, first run {first.cpu:.2f} s"
        yield Figure("P3", f"{NAMES[database]}: window read again", cpu, "s", 0.12, 0.08, note=note, digits=3)
        yield Figure("P3", f"{NAMES[database]}: written by it", median(cost.written for cost in costs), "KiB", digits=0)
        yield Figure("P3", f"{NAMES[database]}: peak of it", median(cost.peak for cost in costs), "MiB", digits=1)


# A new booking on a machine of its own, a moment ago.
NEW_ROW = {
    "postgres": """INSERT INTO booking SELECT {id}, 'FA-{id}', product_code, 'N-{machine}', 'S', now, now, 0, 0, NULL, NULL
        FROM booking, (SELECT clock_timestamp() AT TIME ZONE 'Europe/Istanbul' AS now) t WHERE id = 1""",
    "mariadb": """INSERT INTO booking SELECT {id}, 'FA-{id}', product_code, 'N-{machine}', 'S', now, now, 0, 0, NULL, NULL
        FROM booking, (SELECT UTC_TIMESTAMP(3) + INTERVAL 3 HOUR AS now) t WHERE id = 1""",
}


def one_row(world, database, run):
    """Inserts a booking, calls `run` with its id, and takes it away again."""
    new = int(datetime.datetime.now().timestamp() * 1000)
    world.sql(database, NEW_ROW[database].format(id=new, machine=new % 10**9))
    try:
        return run(new)
    finally:
        world.sql(database, f"DELETE FROM booking WHERE id > {world.rows}")


def sizes(world):
    return [count for count in (10**4, 10**5, 10**6, 10**7) if count <= world.rows]


def fills(world, database, count, rounds):
    """First fills of so many bookings; they are measured once, for P5 and for `growth`."""
    key = (database, count)
    if key not in world.fills:
        world.fills[key] = [first_fill(world, database, count) for _ in range(rounds)]
    return world.fills[key]


def deliveries(world, database, count, rounds):
    return [stateless(world, database, count) for _ in range(rounds)]


def growth(world, rounds):
    """(what, bookings, CPU s/M, peak MiB) of the stateless delivery and of the first fill."""
    for what, measure in (("rows without state", deliveries), ("first fill to runs", fills)):
        for database in DATABASES:
            for count in sizes(world):
                costs = measure(world, database, count, rounds)
                cpu = median(cost.cpu for cost in costs) / count * MILLION
                yield f"{NAMES[database]}: {what}", count, cpu, median(cost.peak for cost in costs)


def p5(world, rounds):
    for database in DATABASES:
        peaks = {c: median(cost.peak for cost in fills(world, database, c, rounds)) for c in sizes(world)}
        for count, peak in peaks.items():
            yield Figure("P5", f"{NAMES[database]}: peak of a first fill of {count:,}", peak, "MiB", 48, 24, digits=1)
        ratio = max(peaks.values()) / min(peaks.values())
        yield Figure("P5", f"{NAMES[database]}: largest to smallest of them", ratio, "×")


def p9(world, rounds):
    rows = min(SOURCE_ROWS, world.rows)
    folder = f"{world.work}/csv"
    os.makedirs(folder, exist_ok=True)
    copy = f"COPY ({feed(rows)} ORDER BY id) TO STDOUT (FORMAT csv, HEADER)"
    with open(f"{folder}/bookings.csv", "w") as file:
        file.write(world.sql("postgres", copy))
    names = ("postgres", "mariadb", "sqlite", "csv", "http")
    api = {"BENCH_API": f"http://{world.sink_address}/bookings/{rows}"}
    costs = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            costs[name].append(first_fill(world, name, rows, api))
    million = rows / MILLION
    read = {d: median(floor(world, d, rows, "read").cpu for _ in range(rounds)) / million for d in DATABASES}
    cpu = {name: median(cost.cpu for cost in of) / million for name, of in costs.items()}
    for name in names:
        note = f"{cpu[name]:.2f} s/M"
        if name in read:
            note += f", {read[name]:.2f} of it reading alone"
        ratio = cpu[name] / cpu["postgres"]
        budget = None if name == "postgres" else 1.5
        yield Figure("P9", f"{NAMES[name]}: first fill of {rows:,}", ratio, "× PostgreSQL", budget, note=note)


def plain_slices(world, database, rows, days):
    """What the server's CPU is for the statements of the same slices, with their bounds written into them, and for one
    that reads the table from end to end."""
    costs = []
    start = plant.FIRST
    while start < plant.local(rows):
        end = min(start + datetime.timedelta(days=days), plant.local(rows))
        slice = f"SELECT {COLUMNS} FROM booking WHERE booked_at >= '{start}' AND booked_at < '{end}'"
        costs.append(world.floor(database, "read", slice, {"rows": 0}).server[database])
        start = end
    return sum(costs), floor(world, database, rows, "read").server[database]


def p10(world, rounds):
    for database in DATABASES:
        costs = []
        for _ in range(rounds):
            ours = stateless(world, database, world.rows, f"{P10_DAYS}d").server[database]
            same, whole = plain_slices(world, database, world.rows, P10_DAYS)
            costs.append((ours / same, ours, same, whole))
        ratio, ours, same, whole = sorted(costs)[len(costs) // 2]
        what = f"{NAMES[database]}: the server's CPU"
        note = f"{ours:.2f} s of the server, {same:.2f} s for the same statements"
        yield Figure("P10", what, ratio, "× the same SELECT", 1.05, note=note)
        yield Figure("P10", what, ours / whole, "× SELECT of the table", note=f"{whole:.2f} s for it")

"""Other programs on the same tables: how each is called, and whether what it wrote is the truth."""
import os
import re
import subprocess
from functools import partial

from lib import plant
from lib.measures import COLUMNS, DATABASES, feed, one_row
from lib.turns import Program
from lib.world import BENCH, Wrong

# Where the id stands in a line.
ID = {
    "JSON lines": re.compile(rb'"id" ?: ?(\d+)'),
    "CSV": re.compile(rb'^"?(\d+)', re.MULTILINE),
    "TSV": re.compile(rb"^(\d+)", re.MULTILINE),
}
BLOCK_BYTES = 1 << 20
# Name, heading, target, environment that it is installed in, and call. `{home}` is the environment.
INSTALLED = (
    ("sling", "Sling", "JSON lines", "sling", [f"{BENCH}/peers/sling"]),
    ("dlt", "dlt pyarrow", "HTTP", "dlt", ["{home}/bin/python", f"{BENCH}/peers/dlt_http.py", "pyarrow"]),
    ("dlt-cx", "dlt connectorx", "HTTP", "dlt", ["{home}/bin/python", f"{BENCH}/peers/dlt_http.py", "connectorx"]),
    ("ingestr", "ingestr", "JSON lines", "ingestr", [f"{BENCH}/peers/ingestr"]),
    ("connectorx", "connectorx", "CSV", "connectorx", ["{home}/bin/python", f"{BENCH}/peers/connectorx_csv.py"]),
)
# The clients of the databases themselves, from Debian: name, heading, target, database, call, label, and the program.
CLIENT, CURL = f"{BENCH}/peers/client", f"{BENCH}/peers/psql_curl"
CLIENTS = (
    ("client", "psql, mariadb", "TSV", "postgres", [CLIENT], "psql {} COPY", "{bin}/psql"),
    ("client", "psql, mariadb", "TSV", "mariadb", [CLIENT], "mariadb {} --quick", "mariadb"),
    ("curl", "psql + curl", "HTTP", "postgres", [CURL], "psql {} row_to_json + curl", "{bin}/psql"),
)
# What stands above the ratios to each.
HEADINGS = {name: heading for name, heading, *_ in (*INSTALLED, *CLIENTS)}
VERSION = re.compile(r"(?:PostgreSQL\) |Distrib |from )(\d+\.\d+(?:\.\d+)?)")


def said(command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def version(home, package):
    """Version of the package, as it is installed."""
    lines = said([f"{home}/bin/pip", "show", {"sling": "sling-linux-amd64"}.get(package, package)]).splitlines()
    return next(line.split()[1] for line in lines if line.startswith("Version:"))


def check_file(path, target, count, total):
    """Holds the number of lines of a file, and the sum of their ids, against the truth."""
    lines = ids = found = 0
    with open(path, "rb") as file:
        while block := file.readlines(BLOCK_BYTES):
            text = b"".join(block)
            numbers = ID[target].findall(text)
            lines += text.count(b"\n")
            ids += len(numbers)
            found += sum(map(int, numbers))
    if (lines, ids, found) != (count, count, total):
        told = f"{lines} lines with {ids} ids whose sum is {found}"
        raise Wrong(f"{os.path.basename(path)} has {told}; {count} and {total} are right")


def read_with(call, name, target, world, database, new=None):
    """Reads everything, or the booking `new`, and holds what arrives against the truth."""
    since = plant.local(world.rows + 10_000).isoformat(sep=" ")
    sql = feed(world.rows) if new is None else f"SELECT {COLUMNS} FROM booking WHERE changed_at > '{since}'"
    count, total = (world.rows, world.rows * (world.rows + 1) // 2) if new is None else (1, new)
    out = f"{world.work}/peers/out/{name}-{database}"
    to_sink = target == "HTTP"
    if os.path.exists(out):
        os.remove(out)
    env = {"FEED_SQL": sql, "SINCE": since}
    command = [*call, database, ("full" if new is None else "new") if to_sink else out]
    truth = {"rows": count, "id_sum": total} if to_sink else {"requests": 0}
    cost = world.run(command, world.folder(f"peer-{name}"), truth, env, with_children=True)
    if not to_sink:
        check_file(out, target, count, total)
        os.remove(out)
    return cost


def program(name, label, target, call, databases):
    read = partial(read_with, call, name, target)

    def warm(world, database):
        """One run that is not counted: whatever is loaded and compiled is then at hand."""
        one_row(world, database, lambda new: read(world, database, new))

    return Program(name, label, target, full=read, one=read, prepare=warm, databases=databases)


def programs(world):
    """Those that can be had here; what is missing is installed. And the names of those that cannot be had."""
    subprocess.run([f"{BENCH}/peers/install"], env=world.env, check=True)
    found, missing = [], []
    for name, heading, target, package, call in INSTALLED:
        home = f"{world.work}/peers/{package}"
        if os.path.exists(f"{home}/installed"):
            number = version(home, package)
            label = heading.replace(" ", f" {number} ", 1) if " " in heading else f"{heading} {number}"
            found.append(program(name, label, target, [part.format(home=home) for part in call], DATABASES))
        else:
            missing.append(heading)
    for name, _, target, database, call, label, client in CLIENTS:
        number = VERSION.search(said([client.format(bin=world.env["PG_BIN"]), "--version"])).group(1)
        found.append(program(name, label.format(number), target, call, (database,)))
    return found, missing

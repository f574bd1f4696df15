"""P1, P2 and P4, and the same work done by other programs. They take turns, round after round, so that all of them meet
the same machine; each full read comes right after one of the floor."""
import sys
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from lib.figures import Figure, median, shown
from lib.measures import DATABASES, MILLION, NAMES, first_fill, floor, one_row, stateless
from lib.world import Wrong


@dataclass
class Program:
    name: str
    label: str
    target: str
    full: Callable | None = None  # (world, database): reads every booking
    one: Callable | None = None  # (world, database, id): reads the one booking that is new
    prepare: Callable | None = None  # (world, database): once, before `one`
    ones: int = 1  # runs of `one` in each round
    databases: tuple = DATABASES


def prepare_one(world, database):
    """The first run reads everything that there is."""
    world.once(f"one-{database}", world.folder(f"one-{database}"), {"rows": 0})


def run_one(world, database, new):
    folder = world.folder(f"one-{database}", fresh=False)
    return world.once(f"one-{database}", folder, {"runs": 1, "id_sum": new, "deletes": 0})


def full_read(measure):
    return lambda world, database: measure(world, database, world.rows)


# A process is short: more rounds of it cost little.
ENGINE = {
    "P1": Program("P1", "engine, rows without state (P1)", "HTTP", full=full_read(stateless)),
    "P2": Program("P2", "engine, first fill to runs (P2)", "HTTP", full=full_read(first_fill)),
    "P4": Program("P4", "engine, one new row (P4)", "HTTP", one=run_one, prepare=prepare_one, ones=5),
}


class Turns:
    """What every program took, by its name and the database."""

    def __init__(self, world):
        self.world = world
        self.full = defaultdict(list)
        self.floor = defaultdict(list)  # what the floor took right before each of `full`
        self.one = defaultdict(list)
        self.failed = {}  # why there is no figure

    def attempt(self, program, database, measure):
        """What `measure` gives, where nothing of this program has failed."""
        key = (program.name, database)
        if key in self.failed:
            return None
        try:
            return measure()
        except Wrong as error:
            self.failed[key] = str(error)
            print(f"error: {program.label}, {NAMES[database]}: {error}", file=sys.stderr)

    def take(self, programs, rounds):
        """Lets programs take turns, so many rounds."""
        for database in DATABASES:
            here = [program for program in programs if database in program.databases]
            for program in here:
                if program.prepare:
                    self.attempt(program, database, lambda: program.prepare(self.world, database))
            for number in range(rounds):
                for program in here:
                    print(f"round {number + 1}: {program.label}, {NAMES[database]}", file=sys.stderr)
                    self.attempt(program, database, lambda: self.turn(program, database))

    def turn(self, program, database):
        key = (program.name, database)
        if program.full:
            least = floor(self.world, database, self.world.rows)
            self.full[key].append(program.full(self.world, database))
            self.floor[key].append(least)
        for _ in range(program.ones if program.one else 0):
            cost = one_row(self.world, database, lambda new: program.one(self.world, database, new))
            self.one[key].append(cost)

    def has(self, name, database):
        key = (name, database)
        return key not in self.failed and bool(self.full[key] or self.one[key])

    def middle(self, kind, name, database, part):
        """The median of `cpu`, `wall` or `peak` of a program's full reads or one-row runs."""
        costs = {"full": self.full, "one": self.one}[kind][name, database]
        if not costs or (name, database) in self.failed:
            return None
        return median(getattr(cost, part) for cost in costs)

    def million(self, name, database, part):
        """The median of a full read, for a million bookings."""
        value = self.middle("full", name, database, part)
        return value and value / self.world.rows * MILLION

    def thousandth(self, name, database, part):
        """The median of a one-row run, in milliseconds."""
        value = self.middle("one", name, database, part)
        return value and value * 1000

    def server(self, name, database):
        """CPU of the database's server for a million bookings."""
        costs = self.full[name, database]
        return median(cost.server[database] for cost in costs) / self.world.rows * MILLION if costs else None

    def floors(self, name, database):
        """How many times the CPU of the floor a full read took."""
        pairs = list(zip(self.full[name, database], self.floor[name, database]))
        return median(ours.cpu / least.cpu for ours, least in pairs) if pairs else None

    def ratio(self, kind, name, other, database, part):
        """A program's median as a part of another's."""
        ours, theirs = (self.middle(kind, program, database, part) for program in (name, other))
        return ours / theirs if ours is not None and theirs else None


WORDS = {"cpu": "CPU", "wall": "wall", "peak": "peak"}
# What a full read and one new row are held against, by what is measured: unit, budget and stretch.
FULL = {
    "P1": {"cpu": ("× floor", 1.6, 1.3), "wall": ("s/M", None, None), "peak": ("MiB", None, None)},
    "P2": {"cpu": ("s/M", 3.0, 2.0), "wall": ("s/M", None, None), "peak": ("MiB", 48, 24)},
}
ONE = {"wall": ("ms", 40, 25), "cpu": ("ms", 25, 15), "peak": ("MiB", None, None)}


def figures_of(turns, wanted, peers):
    """The figures of P1, P2 and P4, with their ratios to the peers of these names."""
    for name, what in (("P1", "rows without state"), ("P2", "first fill to runs"), ("P4", "one new row")):
        kind = "one" if name == "P4" else "full"
        for database in DATABASES if name in wanted else ():
            if not turns.has(name, database):
                continue
            for part, (unit, budget, stretch) in (ONE if name == "P4" else FULL[name]).items():
                value = {
                    "s/M": lambda: turns.million(name, database, part),
                    "× floor": lambda: turns.floors(name, database),
                    "ms": lambda: turns.thousandth(name, database, part),
                    "MiB": lambda: turns.middle(kind, name, database, part),
                }[unit]()
                figure = Figure(name, f"{NAMES[database]}: {what}, {WORDS[part]}", value, unit, budget, stretch)
                figure.digits = 1 if unit in ("ms", "MiB") else 2
                figure.beside = {peer: turns.ratio(kind, name, peer, database, part) for peer in peers}
                if kind == "full" and part == "cpu":
                    figure.floor = turns.floors(name, database)
                    figure.note = f"{turns.million(name, database, part):.2f} s/M" if unit == "× floor" else ""
                if kind == "full" and part == "wall":
                    figure.note = f"{MILLION / value:,.0f} rows/s"
                yield figure


HEAD = (
    "| program | target | CPU s/M | × floor | P1 ÷ it | P2 ÷ it | rows/s | peak MiB | server s/M"
    " | one row: wall ms | CPU ms | peak MiB | P4 ÷ it |\n"
    "| --- | --- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |"
)


def table_of(turns, programs):
    """What every program took, and the engine's CPU as a part of it: of a full read, and of one row its wall time."""
    lines = [HEAD]
    for program, database in ((program, database) for program in programs for database in program.databases):
        name = program.name
        told = f"| {program.label}, {NAMES[database]} | {program.target} |"
        if not turns.has(name, database):
            lines.append(f"{told}{' – |' * 11}")
            continue
        wall = turns.million(name, database, "wall")
        cells = [
            shown(turns.million(name, database, "cpu"), 2),
            shown(turns.floors(name, database), 1),
            *(shown(turns.ratio("full", ours, name, database, "cpu"), 2) for ours in ("P1", "P2")),
            shown(wall and MILLION / wall, 0),
            shown(turns.middle("full", name, database, "peak"), 0),
            shown(turns.server(name, database), 2),
            *(shown(turns.thousandth(name, database, part), 0) for part in ("wall", "cpu")),
            shown(turns.middle("one", name, database, "peak"), 0),
            shown(turns.ratio("one", "P4", name, database, "wall"), 2),
        ]
        lines.append(f"{told} {' | '.join(cells)} |")
    return "\n".join(lines)

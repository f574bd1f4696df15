"""What the generated plant holds, by arithmetic: the truth that every run is held against."""
import datetime

MACHINES = 120
STEP_MILLIS = 15_700
FIRST = datetime.datetime(2024, 1, 1)
# Europe/Istanbul, all year.
OFFSET = datetime.timedelta(hours=3)


def local(rows):
    """Right after booking number `rows`, on the clock of the plant. `rows` is a multiple of ten."""
    return FIRST + datetime.timedelta(milliseconds=rows * STEP_MILLIS + 1000)


def instant(rows, days=0):
    return (local(rows) - OFFSET + datetime.timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def rows_truth(rows):
    """What the sink must count of the bookings themselves."""
    return {"rows": rows, "runs": 0, "id_sum": rows * (rows + 1) // 2}


def runs_truth(rows):
    """What the sink must count of the runs: every second block of machines starts, and the next one ends them."""
    count = ids = live = 0
    for block in range(0, rows, 2 * MACHINES):
        last = min(block + MACHINES, rows)
        count += last - block
        ids += (block + 1 + last) * (last - block) // 2
        live += max(0, last - max(block, rows - MACHINES))
    return {"rows": 0, "runs": count, "id_sum": ids, "live": live, "deletes": 0}


ORDER_SECONDS = 157
# Every so many-th order has no end.
LIVE_EVERY = 20


def orders_truth(orders):
    return {"rows": 0, "runs": orders, "id_sum": orders * (orders + 1) // 2, "live": orders // LIVE_EVERY, "deletes": 0}


def orders_instant(orders):
    """A moment when all orders have ended that have an end."""
    last = FIRST + datetime.timedelta(seconds=orders * ORDER_SECONDS, days=2) - OFFSET
    return last.strftime("%Y-%m-%dT%H:%M:%SZ")

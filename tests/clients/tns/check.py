"""Oracle's thin driver for Python against a server with the canned answers of the tests.

Arguments: a JSON object with host, port, user, password, service, sid, profile, and for TLS: wallet.
"""

import array
import datetime
import decimal
import json
import sys

import oracledb

HOW = json.loads(sys.argv[1])
oracledb.defaults.fetch_decimals = True
CHECKS = []


def check(function):
    """A check is a function whose name says what is true."""
    CHECKS.append(function)
    return function


def where(service=None, sid=None):
    name = f"(SERVICE_NAME={service})" if service else f"(SID={sid})"
    protocol = "tcps" if HOW.get("wallet") else "tcp"
    security = "(SECURITY=(SSL_SERVER_DN_MATCH=ON))" if HOW.get("wallet") else ""
    host = "localhost" if HOW.get("wallet") else HOW["host"]
    sdu = f"(SDU={HOW['sdu']})" if HOW.get("sdu") else ""
    return (f"(DESCRIPTION={sdu}(ADDRESS=(PROTOCOL={protocol})(HOST={host})(PORT={HOW['port']}))"
            f"(CONNECT_DATA={name}){security})")


def connect(user=None, password=None, **name):
    return oracledb.connect(user=user or HOW["user"], password=password or HOW["password"],
                            dsn=where(**(name or {"service": HOW["service"]})),
                            wallet_location=HOW.get("wallet"))


def fails(code, action):
    """The error of an action that must fail with a text of it."""
    try:
        action()
    except oracledb.Error as error:
        assert code in str(error), f"expected {code}: {error}"
        return error.args[0]
    raise AssertionError(f"{code} was not raised")


def equal(actual, expected):
    assert actual == expected, f"{actual!r} is not {expected!r}"


@check
def a_session_opens_by_service_and_by_sid():
    with connect() as connection:
        equal(connection.version.split(".")[0], HOW["profile"])
        equal(connection.service_name, HOW["service"])
        assert connection.session_id >= 100
        connection.ping()
    connect(sid=HOW["sid"]).close()


@check
def logins_and_services_that_do_not_exist_are_refused():
    fails("ORA-01017", lambda: connect(password="wrong"))
    fails("ORA-01017", lambda: connect(user="nobody"))
    fails("ORA-28000", lambda: connect(user="locked"))
    fails("DPY-6001", lambda: connect(service="elsewhere"))
    fails("DPY-6003", lambda: connect(sid="elsewhere"))


@check
def every_type_comes_with_its_value_and_its_description():
    with connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT * FROM types")
        described = {d.name: d for d in cursor.description}
        equal((described["ID"].precision, described["ID"].scale), (10, 0))
        equal((described["AMOUNT"].precision, described["AMOUNT"].scale), (38, 9))
        equal((described["ANY_NUMBER"].precision, described["ANY_NUMBER"].scale), (0, -127))
        equal((described["NAME"].type_code, described["NAME"].internal_size), (oracledb.DB_TYPE_VARCHAR, 160))
        equal(described["NAME_N"].type_code, oracledb.DB_TYPE_NVARCHAR)
        equal(described["CODE_N"].type_code, oracledb.DB_TYPE_NCHAR)
        equal(described["AT"].scale, 9)
        equal(described["AT_ZONE"].type_code, oracledb.DB_TYPE_TIMESTAMP_TZ)
        equal(described["AT_LOCAL"].type_code, oracledb.DB_TYPE_TIMESTAMP_LTZ)
        rows = cursor.fetchall()
    row = dict(zip(described, rows[0]))
    moment = datetime.datetime(2025, 3, 30, 1, 30, 59)
    equal(row, {
        "ID": decimal.Decimal(7),
        "AMOUNT": decimal.Decimal("-12345678901234567890123456789.000000001"),
        "ANY_NUMBER": decimal.Decimal("0.1"),
        "RATIO": decimal.Decimal("2.5"),
        "SINGLE": 1.5,
        "DOUBLE": -2.25,
        "NAME": "Müller 😀",
        "NAME_N": "Žluťoučký 😀",
        "CODE": "ab   ",
        "CODE_N": "äb   ",
        "BITS": b"\x00\xff\x10",
        "DAY": moment,
        "AT": moment.replace(microsecond=123456),
        "AT_WHOLE": moment,
        # This driver gives the clock of the zone and forgets the zone.
        "AT_ZONE": moment.replace(microsecond=500000),
        "AT_LOCAL": moment.replace(microsecond=250000),
        "LASTED": datetime.timedelta(days=1, hours=2, minutes=3, seconds=4, milliseconds=500),
        "PLACE": "AAAShEAAGAAAAFXAAB",
    })
    equal(rows[1], (None,) * len(described))


@check
def binds_of_every_type_come_back():
    moment = datetime.datetime(2025, 3, 30, 1, 30, 59, 123456)
    with connect() as connection, connection.cursor() as cursor:
        for value, kind in [
            ("Müller", oracledb.DB_TYPE_VARCHAR),
            ("Žluť", oracledb.DB_TYPE_NVARCHAR),
            ("ab", oracledb.DB_TYPE_CHAR),
            (decimal.Decimal("-12345678901234567890.5"), oracledb.DB_TYPE_NUMBER),
            (decimal.Decimal(42), oracledb.DB_TYPE_NUMBER),
            (1.5, oracledb.DB_TYPE_BINARY_DOUBLE),
            (-1.5, oracledb.DB_TYPE_BINARY_FLOAT),
            (b"\x00\xff", oracledb.DB_TYPE_RAW),
            (moment.replace(microsecond=0), oracledb.DB_TYPE_DATE),
            (moment, oracledb.DB_TYPE_TIMESTAMP),
            (moment, oracledb.DB_TYPE_TIMESTAMP_TZ),
            (moment, oracledb.DB_TYPE_TIMESTAMP_LTZ),
            (datetime.timedelta(days=-2, seconds=-3), oracledb.DB_TYPE_INTERVAL_DS),
            (None, oracledb.DB_TYPE_VARCHAR),
            (None, oracledb.DB_TYPE_NUMBER),
            ("x" * 4000, oracledb.DB_TYPE_VARCHAR),
        ]:
            cursor.setinputsizes(kind)
            cursor.execute("SELECT :1 FROM dual", [value])
            equal(cursor.fetchone()[0], value)


@check
def long_binds_come_after_the_others():
    with connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT :first, :second FROM dual", first="y" * 100_000, second=decimal.Decimal(5))
        equal(cursor.fetchone(), ("y" * 100_000, decimal.Decimal(5)))


@check
def a_statement_runs_again_with_other_values():
    with connect() as connection, connection.cursor() as cursor:
        for number in range(5):
            cursor.execute("SELECT :n, :s FROM dual", n=number, s=f"s{number}")
            equal(cursor.fetchall(), [(number, f"s{number}")])
        cursor.executemany("INSERT INTO t VALUES (:1, :2)", [(1, "a"), (2, "b"), (3, "c")])
        equal(cursor.rowcount, 3)
        connection.commit()
        connection.rollback()


@check
def errors_have_number_text_and_place():
    with connect() as connection, connection.cursor() as cursor:
        error = fails("table or view does not exist", lambda: cursor.execute("SELECT * FROM missing"))
        equal((error.code, error.offset), (942, 14))
        cursor.execute("SELECT 1 FROM dual")
        equal(cursor.fetchall(), [(1,)])
        fails("ORA-01476", lambda: cursor.execute("SELECT * FROM later_error").fetchall())


@check
def no_rows_and_nulls_known_from_the_description():
    with connect() as connection, connection.cursor() as cursor:
        equal(cursor.execute("SELECT * FROM nothing").fetchall(), [])
        equal(cursor.execute("SELECT * FROM null_by_description").fetchall(), [(None, 1)])
        equal(cursor.execute("SELECT * FROM null_by_description").fetchall(), [(None, 1)])


def numbers(count):
    return [(n, f"group {n // 4}", None if n % 3 == 0 else f"s{n // 2}") for n in range(count)]


@check
def many_rows_come_in_any_array_size():
    with connect() as connection:
        for size in [1, 3, 100, 7_000]:
            with connection.cursor() as cursor:
                cursor.arraysize = size
                count = 60 if size == 1 else 6_000
                equal(cursor.execute(f"SELECT * FROM numbers FETCH {count}").fetchall(), numbers(count))


@check
def two_results_are_read_in_turn():
    with connect() as connection, connection.cursor() as first, connection.cursor() as second:
        first.execute("SELECT * FROM numbers FETCH 1000")
        equal(first.fetchone()[0], 0)
        second.execute("SELECT * FROM numbers FETCH 500")
        equal(len(second.fetchall()), 500)
        equal(len(first.fetchall()), 999)


@check
def lobs_come_as_locators_and_as_values():
    long_text = "Zeile ä😀 " * 5_000
    blob = bytes(array.array("B", [n % 256 for n in range(100_000)]))
    with connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT * FROM lobs")
        first, nulls, last = cursor.fetchall()
        equal(first[1].read(), long_text)
        equal(first[1].read(7, 5), long_text[6:10])
        equal(first[2].size(), 100_000)
        equal(first[2].read(99_999, 10), blob[99_998:])
        equal((first[3].read(), last[1].read(), last[2].read()), ("národní", "short", b"\1\2\3"))
        equal(nulls[1:], (None, None, None))
    with connect() as connection, connection.cursor() as cursor:
        equal(cursor.execute("SELECT * FROM lobs", fetch_lobs=False).fetchall(), [
            (1, long_text, blob, "národní"), (2, None, None, None), (3, "short", b"\1\2\3", "n")])
    with connect() as connection, connection.cursor() as cursor:
        made = connection.createlob(oracledb.DB_TYPE_CLOB, "made here ä")
        cursor.setinputsizes(oracledb.DB_TYPE_CLOB)
        cursor.execute("SELECT :1 FROM dual", [made])
        equal(cursor.fetchone()[0].read(), "made here ä")


@check
def long_columns_come_in_full():
    with connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT * FROM longs")
        equal(cursor.fetchall(), [(1, "Zeile ä😀 " * 5_000, "v" * 4_000), (2, None, None)])


@check
def a_call_that_takes_too_long_is_given_up_and_the_session_lives():
    with connect() as connection, connection.cursor() as cursor:
        connection.call_timeout = 300
        fails("DPY-4024", lambda: cursor.execute("SELECT * FROM forever").fetchall())
        connection.call_timeout = 0
        equal(cursor.execute("SELECT 1 FROM dual").fetchall(), [(1,)])


@check
def a_block_runs_with_binds():
    with connect() as connection, connection.cursor() as cursor:
        cursor.execute("BEGIN nothing(:a, :b); END;", a=1, b="x")
        cursor.parse("SELECT * FROM types")
        equal(cursor.execute("SELECT 1 FROM dual").fetchall(), [(1,)])


for each in CHECKS:
    try:
        each()
    except Exception as problem:
        print(f"python: {each.__name__}: {type(problem).__name__}: {problem}", file=sys.stderr)
        raise
print(f"{len(CHECKS)} checks")

"""What pymssql (FreeTDS) sees of a server with the answers of tests/tds/tests/support. Argument: port, TLS mode."""

import datetime
import decimal
import sys
import uuid

import pymssql

port, tls = sys.argv[1], sys.argv[2]
checks = 0


def same(what, seen, expected):
    global checks
    if type(seen) is not type(expected) or seen != expected:
        sys.exit(f"{what}: {seen!r} is not {expected!r}")
    checks += 1


def connect(password="secret"):
    return pymssql.connect(
        server="127.0.0.1", port=port, user="etl", password=password, database="MES", tds_version="7.4",
        login_timeout=20, timeout=60, autocommit=True, encryption=tls)


try:
    connect("wrong")
    sys.exit("a wrong password was accepted")
except pymssql.OperationalError as error:
    same("login", error.args[0][0], 18456)

# Two types are left out: FreeTDS gives a datetimeoffset as bytes, and no value of a variant.
EXPECTED = {
    0: True, 1: 255, 2: -32768, 3: 2147483647, 4: -9223372036854775808, 5: 0.5, 6: 1.0e100,
    7: decimal.Decimal("-1234567890123456789012345678.0123456789"), 8: decimal.Decimal("123.45"),
    9: decimal.Decimal("-922337203685477.5808"), 10: decimal.Decimal("214748.3647"),
    11: datetime.datetime(2025, 3, 30, 1, 30, 0, 997000), 12: datetime.datetime(2025, 3, 30, 1, 30),
    13: datetime.date(2025, 3, 30), 14: datetime.time(1, 30, 0, 123456),
    15: datetime.datetime(2025, 3, 30, 1, 30, 0, 123456),
    17: "Fräse ", 18: "Fräse €", 19: "旋盤", 20: "Łódź", 21: "Fräse 旋盤", 22: "ü" * 20000,
    23: "Fräse ", 24: "Fräse 旋盤 😀", 25: "旋" * 20000, 26: b"\1\2\0\0", 27: b"\xde\xad", 28: b"\7" * 20000,
    29: uuid.UUID("6f9619ff-8b86-d011-b42d-00c04fc964ff"), 30: "<a>ü</a>", 31: "Fräse", 32: "旋盤",
    33: b"\1\2\3", 35: b"\0\0\0\0\0\0\7\xd1",
}

with connect() as connection, connection.cursor() as cursor:
    cursor.execute("values")
    row = cursor.fetchone()
    same("columns", len(row), 36)
    for at, expected in EXPECTED.items():
        same(f"value {at}", row[at], expected)
    cursor.execute("nulls")
    same("nulls", [value is None for value in cursor.fetchone()], [True] * 35 + [False])

    for _ in range(2):
        try:
            cursor.execute("fail")
            sys.exit("no error")
        except pymssql.Error as error:
            same("error", (error.args[0], b"Invalid object name 'dbo.none'." in error.args[1]), (208, True))

    cursor.execute("two results")
    same("first result", cursor.fetchall(), [(1,)])
    same("there is more", cursor.nextset(), 1)
    same("second result", cursor.fetchall(), [(2,)])

    cursor.execute("rows 20000")
    rows = cursor.fetchall()
    same("rows", (len(rows), rows[-1]), (20000, (20000, "x" * 200)))

    # The rest of an answer that is not read is given up with an attention.
    cursor.execute("rows 100000")
    same("the first row", cursor.fetchone()[0], 1)
    cursor.execute("two results")
    same("after giving up", cursor.fetchone(), (1,))

with connect() as connection:
    connection.autocommit(False)
    with connection.cursor() as cursor:
        cursor.execute("two results")
        cursor.fetchall()
    connection.commit()
    checks += 1

print(f"pymssql {pymssql.__version__}: {checks} checks")

"""What python-tds sees of a server with the answers of tests/tds/tests/support. Argument: port, authority, TLS mode."""

import datetime
import decimal
import sys
import uuid

import pytds

port, authority, tls = int(sys.argv[1]), sys.argv[2], sys.argv[3]
checks = 0


def same(what, seen, expected):
    global checks
    if type(seen) is not type(expected) or seen != expected:
        sys.exit(f"{what}: {seen!r} is not {expected!r}")
    checks += 1


def connect(password="secret", **more):
    if tls != "none":
        more.update(cafile=authority, enc_login_only=tls == "login")
    return pytds.connect(
        dsn="localhost", port=port, user="etl", password=password, database="MES", autocommit=True,
        login_timeout=20, timeout=60, appname="pytds", **more)


try:
    connect("wrong")
    sys.exit("a wrong password was accepted")
except pytds.tds_base.OperationalError as error:
    same("login", (error.msg_no, error.text), (18456, "Login failed for user 'etl'."))

zone = datetime.timezone(datetime.timedelta(hours=2))
EXPECTED = [
    True, 255, -32768, 2147483647, -9223372036854775808, 0.5, 1.0e100,
    decimal.Decimal("-1234567890123456789012345678.0123456789"), decimal.Decimal("123.45"),
    decimal.Decimal("-922337203685477.5808"), decimal.Decimal("214748.3647"),
    datetime.datetime(2025, 3, 30, 1, 30, 0, 997000), datetime.datetime(2025, 3, 30, 1, 30),
    datetime.date(2025, 3, 30), datetime.time(1, 30, 0, 123456), datetime.datetime(2025, 3, 30, 1, 30, 0, 123456),
    datetime.datetime(2025, 3, 30, 1, 30, 0, 123456, zone),
    # This client knows no collation in UTF-8 and takes it for 1252.
    "Fräse ", "Fräse €", "旋盤", "Łódź", "Fräse 旋盤".encode().decode("cp1252"), "ü" * 20000,
    "Fräse ", "Fräse 旋盤 😀", "旋" * 20000, b"\1\2\0\0", b"\xde\xad", b"\7" * 20000,
    uuid.UUID("6f9619ff-8b86-d011-b42d-00c04fc964ff"), "<a>ü</a>", "Fräse", "旋盤", b"\1\2\3",
    decimal.Decimal("12.50"), b"\0\0\0\0\0\0\7\xd1",
]

with connect() as connection:
    with connection.cursor() as cursor:
        cursor.execute("values")
        for at, (seen, expected) in enumerate(zip(cursor.fetchone(), EXPECTED, strict=True)):
            if isinstance(seen, datetime.datetime) and seen.tzinfo:
                same(f"offset of {at}", seen.utcoffset(), expected.utcoffset())
            same(f"value {at}", seen, expected)
        cursor.execute("nulls")
        same("nulls", [value is None for value in cursor.fetchone()], [True] * 35 + [False])

        for value in [7, 2**40, 1.5, True, "Fräse 旋盤", pytds.Binary(b"\1\2"), decimal.Decimal("-12.50"),
                      datetime.datetime(2025, 3, 30, 1, 30, 0, 123456), datetime.date(2025, 3, 30),
                      datetime.time(1, 30), datetime.datetime(2025, 3, 30, 1, 30, tzinfo=zone), "x" * 20000,
                      uuid.UUID("6f9619ff-8b86-d011-b42d-00c04fc964ff")]:
            cursor.execute("select %s", (value,))
            seen = cursor.fetchone()[0]
            same("parameter", seen, bytes(value) if isinstance(value, bytes) else value)

        for _ in range(2):
            try:
                cursor.execute("fail")
                sys.exit("no error")
            except pytds.tds_base.ProgrammingError as error:
                same("error", (error.msg_no, error.severity, error.line, error.text),
                     (208, 16, 3, "Invalid object name 'dbo.none'."))

        cursor.execute("two results")
        same("first result", cursor.fetchall(), [(1,)])
        same("there is more", cursor.nextset(), True)
        same("second result", cursor.fetchall(), [(2,)])

        cursor.execute("rows 20000")
        rows = cursor.fetchall()
        same("rows", (len(rows), rows[-1]), (20000, (20000, "x" * 200)))

        cursor.execute("rows 100000")
        same("the first row", cursor.fetchone()[0], 1)
        cursor.cancel()
        cursor.execute("two results")
        same("after giving up", cursor.fetchone(), (1,))

with connect() as connection:
    connection.autocommit = False
    with connection.cursor() as cursor:
        cursor.execute("two results")
        cursor.fetchall()
    connection.commit()
    with connection.cursor() as cursor:
        cursor.execute("two results")
        cursor.fetchall()
    connection.rollback()
    checks += 1

print(f"python-tds: {checks} checks")

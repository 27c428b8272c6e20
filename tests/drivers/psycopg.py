"""psycopg 3: what a Python application does with a server.

python3 psycopg.py CONNINFO postgres|tidemark     prints one line per part, and fails at the first thing that is wrong.
"""

import datetime
import decimal
import os
import sys
import threading
import uuid

# This file is named after the driver, and Python looks for modules beside the script first.
sys.path = [path for path in sys.path if os.path.realpath(path or ".") != os.path.dirname(os.path.realpath(__file__))]
import psycopg
from psycopg.types.json import Jsonb

CONNINFO, SERVER = sys.argv[1], sys.argv[2]
UTC = datetime.timezone.utc

VALUES = [
    ("smallint", -32768),
    ("int", 2147483647),
    ("bigint", -9223372036854775808),
    ("real", 1.5),
    ("double precision", -2.25e300),
    ("numeric", decimal.Decimal("12345678901234567890.000123")),
    ("numeric", decimal.Decimal("NaN")),
    ("text", "naïve ☃ 😀 ' \" \\"),
    ("text", ""),
    ("varchar", "abc"),
    ("boolean", True),
    ("boolean", False),
    ("date", datetime.date(2024, 2, 29)),
    ("time", datetime.time(23, 59, 59, 999999)),
    ("timestamp", datetime.datetime(1969, 12, 31, 23, 59, 59, 1)),
    ("timestamptz", datetime.datetime(2024, 2, 29, 12, 0, tzinfo=UTC)),
    ("interval", datetime.timedelta(days=3, seconds=5, microseconds=7)),
    ("uuid", uuid.UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")),
    ("jsonb", {"a": [1, None, "x"], "b": {"c": 1.5}}),
    ("bytea", bytes(range(256))),
    ("int[]", [1, None, 3]),
    ("text[]", ["a", None, 'q"uote', ""]),
]


def connect(**options):
    options.setdefault("autocommit", True)
    return psycopg.connect(CONNINFO, **options)


def same(found, expected, what=""):
    if found != expected and not (found != found and expected != expected):
        raise AssertionError(f"{what}: found {found!r}, expected {expected!r}")


def fails(sqlstate, action):
    try:
        action()
    except psycopg.Error as error:
        same(error.sqlstate, sqlstate, "SQLSTATE")
        return error
    raise AssertionError(f"nothing failed with {sqlstate}")


def parameters(connection):
    for binary in (False, True):
        for type_name, value in VALUES:
            sent = Jsonb(value) if type_name == "jsonb" else value
            cursor = connection.cursor(binary=binary)
            for mark in ("%t", "%b"):
                found = cursor.execute(f"SELECT {mark}::{type_name} AS v, {mark}::{type_name} IS NULL AS n", [sent, sent]).fetchone()
                same(found[0], value, f"{type_name} by {mark}, binary result {binary}")
                same(found[1], False)
            found = cursor.execute(f"SELECT %s::{type_name}", [None]).fetchone()
            same(found, (None,), f"NULL {type_name}")
    same(connection.execute("SELECT %(a)s + %(b)s, %(a)s * 2", {"a": 3, "b": 4}).fetchone(), (7, 6))
    # A parameter's type is taken from where it stands.
    same(connection.execute("SELECT id FROM shop WHERE id = %s AND name = %s", ["1", "one"]).fetchone(), (1,))
    same(connection.execute("SELECT name FROM shop WHERE id = ANY(%s) ORDER BY id", [[1, 3]]).fetchall(), [("one",), ("three",)])


def statements(connection):
    for number in range(20):
        row = connection.execute("SELECT %s::int + 1, name FROM shop WHERE id = %s", [number, number % 3 + 1], prepare=True).fetchone()
        same(row, (number + 1, ["one", "two", "three"][number % 3]))
    cursor = connection.cursor()
    cursor.executemany("INSERT INTO shop VALUES (%s, %s, %s)", [(10, "ten", None), (11, "eleven", 1), (12, "twelve", 2)])
    same(cursor.rowcount, 3, "rows of executemany")
    cursor.executemany("DELETE FROM shop WHERE id = %s RETURNING name", [(10,), (11,)], returning=True)
    names = [cursor.fetchone()[0]]
    while cursor.nextset():
        names.append(cursor.fetchone()[0])
    same(names, ["ten", "eleven"])
    same(connection.execute("UPDATE shop SET price = 5 WHERE id = 12").rowcount, 1)
    same(connection.execute("DELETE FROM shop WHERE id > 3").rowcount, 1)
    cursor = connection.execute("SELECT id, name, price FROM shop ORDER BY id")
    same([column.name for column in cursor.description], ["id", "name", "price"])
    same([column.type_code for column in cursor.description], [23, 25, 1700])
    same(connection.execute("SELECT count(*) FROM generate_series(1, 100000)").fetchone(), (100000,))
    same(len(connection.execute("SELECT n, repeat('x', 100) FROM generate_series(1, 50000) n").fetchall()), 50000)
    same(connection.execute("").description, None)
    cursor = connection.execute("SELECT 1; SELECT 2")
    same(cursor.fetchone(), (1,))
    same(cursor.nextset(), True)
    same(cursor.fetchone(), (2,))


def transactions():
    with connect(autocommit=False) as connection:
        connection.execute("INSERT INTO shop VALUES (50, 'fifty', 1)")
        connection.rollback()
    with connect(autocommit=False) as connection:
        same(connection.execute("SELECT count(*) FROM shop WHERE id = 50").fetchone(), (0,), "rolled back")
        connection.execute("SELECT 1")
        connection.commit()
        connection.execute("INSERT INTO shop VALUES (51, 'kept', 1)")
    with connect() as connection:
        same(connection.execute("DELETE FROM shop WHERE id = 51").rowcount, 1, "committed")
        connection.execute("BEGIN")
        fails("22012", lambda: connection.execute("SELECT 1 / 0"))
        same(connection.info.transaction_status, psycopg.pq.TransactionStatus.INERROR)
        fails("25P02", lambda: connection.execute("SELECT 1"))
        same(connection.execute("COMMIT").statusmessage, "ROLLBACK")
        with connection.transaction():
            same(connection.execute("SELECT count(*) FROM shop").fetchone(), (3,))
        same(connection.info.transaction_status, psycopg.pq.TransactionStatus.IDLE)


def errors(connection):
    for sqlstate, sql in [
        ("42601", "SELEC 1"),
        ("42P01", "SELECT * FROM nosuch"),
        ("42703", "SELECT nosuch FROM shop"),
        ("42883", "SELECT nosuch(1)"),
        ("22012", "SELECT id / 0 FROM shop"),
        ("22P02", "SELECT 'x'::int"),
        ("22003", "SELECT 2147483647 + id FROM shop"),
        ("23505", "INSERT INTO shop VALUES (1, 'again', 1)"),
        ("23502", "INSERT INTO shop VALUES (99, NULL, 1)"),
        ("42P07", "CREATE TABLE shop (a int)"),
        ("42803", "SELECT id, count(*) FROM shop"),
    ]:
        error = fails(sqlstate, lambda: connection.execute(sql))
        same(error.diag.severity, "ERROR")
        same(bool(error.diag.message_primary), True)
    error = fails("42703", lambda: connection.execute("SELECT id, nosuch FROM shop"))
    same(error.diag.statement_position, "12", "the position of an error")
    error = fails("22P02", lambda: connection.execute("SELECT %s::int", ["x"]))
    same(isinstance(error, psycopg.errors.InvalidTextRepresentation), True)
    error = fails("23505", lambda: connection.execute("INSERT INTO shop VALUES (1, 'again', 1)"))
    same(error.diag.message_detail, "Key (id)=(1) already exists.")
    same(error.diag.constraint_name, "shop_pkey")
    same(connection.execute("SELECT 1").fetchone(), (1,), "after errors")


def cursors():
    with connect(autocommit=False) as connection:
        for binary in (False, True):
            with connection.cursor("c", binary=binary) as cursor:
                cursor.itersize = 100
                cursor.execute("SELECT n, n * 2 FROM generate_series(1, %s) n", [1000])
                same([column.name for column in cursor.description], ["n", "?column?"])
                same(cursor.fetchone(), (1, 2))
                same(cursor.fetchmany(3), [(2, 4), (3, 6), (4, 8)])
                same(sum(row[0] for row in cursor), 500500 - 10)
                same(cursor.fetchone(), None)
        cursor = connection.cursor()
        cursor.execute("DECLARE plain CURSOR FOR SELECT id FROM shop ORDER BY id")
        same(cursor.execute("FETCH 2 FROM plain").fetchall(), [(1,), (2,)])
        same(cursor.execute("FETCH NEXT FROM plain").fetchall(), [(3,)])
        same(cursor.execute("FETCH ALL FROM plain").fetchall(), [])
        cursor.execute("CLOSE plain")
        fails("34000", lambda: cursor.execute("FETCH 1 FROM plain"))
        connection.rollback()
        same(list(connection.cursor().stream("SELECT n FROM generate_series(1, 5) n")), [(n,) for n in range(1, 6)])


def copies(connection):
    cursor = connection.cursor()
    with cursor.copy("COPY shop (id, name, price) FROM STDIN") as copy:
        copy.write_row((100, "tab\there", decimal.Decimal("1.50")))
        copy.write_row((101, "back\\slash", None))
        copy.write("102\tnew\\nline\t2.25\n")
    same(cursor.rowcount, 3)
    with cursor.copy("COPY shop FROM STDIN (FORMAT csv, HEADER)") as copy:
        copy.write('id,name,price\n103,"quoted, ""x""",3\n104,"",\n')
    with cursor.copy("COPY (SELECT * FROM shop WHERE id >= 100 ORDER BY id) TO STDOUT") as copy:
        copy.set_types(["int4", "text", "numeric"])
        rows = list(copy.rows())
    same(rows, [(100, "tab\there", decimal.Decimal("1.50")), (101, "back\\slash", None), (102, "new\nline", decimal.Decimal("2.25")), (103, 'quoted, "x"', decimal.Decimal("3")), (104, "", None)])
    with cursor.copy("COPY (SELECT id, name FROM shop WHERE id >= 103 ORDER BY id) TO STDOUT (FORMAT csv, HEADER)") as copy:
        text = b"".join(bytes(part) for part in copy)
    same(text, b'id,name\n103,"quoted, ""x"""\n104,""\n')
    with cursor.copy("COPY (SELECT id, name FROM shop ORDER BY id LIMIT 2) TO STDOUT (FORMAT binary)") as copy:
        copy.set_types(["int4", "text"])
        same(list(copy.rows()), [(1, "one"), (2, "two")])

    def bad_row():
        with cursor.copy("COPY shop FROM STDIN") as copy:
            copy.write("200\tok\t1\nnot a number\tx\t1\n")

    fails("22P02", bad_row)

    def given_up():
        with cursor.copy("COPY shop FROM STDIN") as copy:
            copy.write("200\tok\t1\n")
            raise RuntimeError("the application's own")

    try:
        given_up()
    except RuntimeError:
        pass
    same(cursor.execute("SELECT count(*) FROM shop WHERE id = 200").fetchone(), (0,), "a failed COPY leaves nothing")
    same(cursor.execute("DELETE FROM shop WHERE id >= 100").rowcount, 5)


def pipelines(connection):
    with connection.pipeline() as pipeline:
        cursors = [connection.execute("SELECT %s::int", [n]) for n in range(50)]
        inserted = connection.execute("INSERT INTO shop VALUES (60, 'pipe', 1) RETURNING id")
        pipeline.sync()
        same([cursor.fetchone()[0] for cursor in cursors], list(range(50)))
        same(inserted.fetchone(), (60,))
        connection.execute("DELETE FROM shop WHERE id = 60")
    try:
        with connection.pipeline():
            connection.execute("SELECT 1")
            connection.execute("SELECT * FROM nosuch")
            connection.execute("INSERT INTO shop VALUES (61, 'skipped', 1)")
    except psycopg.errors.UndefinedTable:
        pass
    else:
        raise AssertionError("an error in a pipeline was lost")
    same(connection.execute("SELECT count(*) FROM shop").fetchone(), (3,), "what follows an error in a pipeline is skipped")


def cancels():
    with connect() as connection:
        slow = "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b WHERE a * 7 % 11 = b % 13"
        timer = threading.Timer(0.3, connection.cancel)
        timer.start()
        fails("57014", lambda: connection.execute(slow))
        timer.join()
        same(connection.execute("SELECT 1").fetchone(), (1,), "after a cancel")


def settings():
    with connect(application_name="the test") as connection:
        same(connection.execute("SHOW application_name").fetchone(), ("the test",))
        connection.execute("SET application_name = 'other'")
        same(connection.info.parameter_status("application_name"), "other")
        same(connection.execute("SELECT current_setting('application_name')").fetchone(), ("other",))
        connection.execute("SET TIME ZONE 'America/New_York'")
        same(connection.info.parameter_status("TimeZone"), "America/New_York")
        same(connection.execute("SELECT '2024-06-01 12:00Z'::timestamptz::text").fetchone(), ("2024-06-01 08:00:00-04",))
        connection.execute("RESET ALL")
        connection.execute("DISCARD ALL")
        same(connection.info.encoding, "utf-8")
        same(connection.info.server_version >= 130000, True)


def subscriptions():
    with connect() as writer, connect() as reader:
        stream = reader.cursor().stream("SUBSCRIBE (SELECT id, name FROM shop WHERE id < 1000)")
        first = sorted((row[1], row[2], row[3]) for row in (next(stream) for _ in range(3)))
        same(first, [(1, 1, "one"), (1, 2, "two"), (1, 3, "three")], "the snapshot")
        writer.execute("INSERT INTO shop VALUES (70, 'new', 1)")
        row = next(stream)
        same(row[1:], (1, 70, "new"), "a row arrives when it exists")
        writer.execute("DELETE FROM shop WHERE id = 70")
        row = next(stream)
        same(row[1:], (-1, 70, "new"))
        same(isinstance(row[0], decimal.Decimal), True, "mz_timestamp is numeric")
        reader.cancel()
        fails("57014", lambda: next(stream))
    with connect() as writer, connect(autocommit=False) as reader:
        reader.execute("DECLARE c CURSOR FOR SUBSCRIBE shop WITH (SNAPSHOT)")
        rows = []
        while len(rows) < 3:
            rows += reader.execute("FETCH ALL c").fetchall()
        same(sorted(row[2] for row in rows), [1, 2, 3])
        same(reader.execute("FETCH 10 c WITH (timeout = '0s')").fetchall(), [])
        writer.execute("INSERT INTO shop VALUES (71, 'later', NULL)")
        same([row[1:] for row in reader.execute("FETCH ALL c WITH (timeout = '20s')").fetchall()], [(1, 71, "later", None)])
        reader.rollback()
        writer.execute("DELETE FROM shop WHERE id = 71")
    with connect() as writer, connect() as reader:
        cursor = reader.cursor()
        with cursor.copy("COPY (SUBSCRIBE (SELECT id FROM shop) WITH (PROGRESS)) TO STDOUT") as copy:
            seen = []
            for row in copy.rows():
                if row[1] == "f":
                    seen.append((row[2], row[3]))
                if len(seen) == 3:
                    break
            same(sorted(seen), [("1", "1"), ("1", "2"), ("1", "3")])
            reader.cancel()
            fails("57014", lambda: [None for _ in copy.rows()])


def main():
    with connect() as connection:
        connection.execute("DROP TABLE IF EXISTS shop")
        connection.execute("CREATE TABLE shop (id int PRIMARY KEY, name text NOT NULL, price numeric)")
        connection.execute("INSERT INTO shop VALUES (1, 'one', 1.5), (2, 'two', NULL), (3, 'three', 3)")
        parts = [
            ("parameters", lambda: parameters(connection)),
            ("statements", lambda: statements(connection)),
            ("transactions", transactions),
            ("errors", lambda: errors(connection)),
            ("cursors", cursors),
            ("copies", lambda: copies(connection)),
            ("pipelines", lambda: pipelines(connection)),
            ("cancels", cancels),
            ("settings", settings),
        ]
        if SERVER == "tidemark":
            parts.append(("subscriptions", subscriptions))
        broken = 0
        for name, part in parts:
            try:
                part()
                print(f"ok {name}", flush=True)
            except Exception as error:
                broken += 1
                line = error.__traceback__
                while line.tb_next and line.tb_next.tb_frame.f_code.co_filename == __file__:
                    line = line.tb_next
                print(f"BROKEN {name}, line {line.tb_lineno}: {type(error).__name__}: {error}", flush=True)
        connection.execute("DROP TABLE shop")
    sys.exit(1 if broken else 0)


main()

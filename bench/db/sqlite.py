"""The rows of postgres.sql in an SQLite file: sqlite.py FILE ROWS ORDERS."""
import sqlite3
import sys

path, rows, orders = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
# SQLite has no time of its own: a text, as most programs write it.
TIME = "strftime('%Y-%m-%d %H:%M:%f', 1704067200 + {} / 1000.0, 'unixepoch')"
database = sqlite3.connect(path)
database.executescript(f"""
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
BEGIN;
CREATE TABLE production_order (
  id INTEGER PRIMARY KEY, order_code TEXT NOT NULL, product_code TEXT NOT NULL, start_at TEXT NOT NULL, end_at TEXT,
  machine_code TEXT NOT NULL, planned_qty NUMERIC NOT NULL, customer TEXT, changed_at TEXT NOT NULL
);
WITH RECURSIVE n (g) AS (SELECT 1 UNION ALL SELECT g + 1 FROM n WHERE g < {orders})
INSERT INTO production_order
SELECT g, printf('FA-%08d', g), printf('PRD-%05d', g * 7919 % 5000), {TIME.format("g * 157000")},
       CASE WHEN g % 20 <> 0 THEN {TIME.format("(g * 157 + 60 + g * 31 % 18000) * 1000")} END,
       printf('M-%03d', (g - 1) % 120), (g * 37 % 100000) / 8.0, CASE WHEN g % 3 <> 0 THEN 'Customer ' || (g % 700) END,
       {TIME.format("(g * 157 + 3600) * 1000")}
FROM n;
CREATE TABLE booking (
  id INTEGER PRIMARY KEY, order_code TEXT NOT NULL, product_code TEXT NOT NULL, machine_code TEXT NOT NULL,
  event TEXT NOT NULL, booked_at TEXT NOT NULL, changed_at TEXT NOT NULL, quantity NUMERIC NOT NULL,
  scrap INTEGER NOT NULL, operator TEXT, remark TEXT
);
WITH RECURSIVE n (g) AS (SELECT 1 UNION ALL SELECT g + 1 FROM n WHERE g < {rows}),
     p (g, o) AS (SELECT g, (g - 1) / 480 * 120 + (g - 1) % 120 + 1 FROM n)
INSERT INTO booking
SELECT g, printf('FA-%08d', o), printf('PRD-%05d', o * 7919 % 5000), printf('M-%03d', (g - 1) % 120),
       substr('SPRE', 1 + (g - 1) / 120 % 4, 1), {TIME.format("(g * 15700 + g * 613 % 1000)")},
       {TIME.format("(g * 15700 + 90000)")}, (g * 37 % 100000) / 8.0, g % 97,
       CASE WHEN g % 11 <> 0 THEN 'Operator ' || (g % 340) END,
       CASE WHEN g % 5 = 0 THEN 'Störung Werkzeug ' || (g % 1000) || ' – nachgestellt' END
FROM p;
CREATE INDEX booking_booked ON booking (booked_at);
CREATE INDEX booking_changed ON booking (changed_at, id);
CREATE INDEX order_started ON production_order (start_at);
COMMIT;
""")

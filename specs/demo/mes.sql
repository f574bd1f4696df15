-- The demo plant: a small MES as German plants have them. `mes.db` is made of this file:
--
--   rm -f specs/demo/mes.db && sqlite3 specs/demo/mes.db < specs/demo/mes.sql
--
-- A test holds the two together. All times are wall-clock times of the plant, Europe/Berlin, whose clocks went from
-- 02:00 to 03:00 on 30 March 2025.

PRAGMA journal_mode = DELETE;

-- BDE bookings ("Betriebsdatenerfassung"): one row each time somebody presses a key at a terminal.
CREATE TABLE bde_buchung (
    satznr   INTEGER PRIMARY KEY,       -- record number, counts up, never reused
    anr      TEXT    NOT NULL,          -- order number, ten digits with leading zeros
    artnr    TEXT    NOT NULL,          -- article
    mnr      CHAR(8) NOT NULL,          -- machine, filled with blanks
    kenn     CHAR(1) NOT NULL,          -- A begun, U interrupted or shift change, E finished
    ast      CHAR(1) NOT NULL,          -- state after it: L running, U interrupted, E ended
    erfart   CHAR(1) NOT NULL DEFAULT ' ', -- ' ' as booked, E edited by the foreman, S cancelled ("Storno")
    buchdat  TEXT    NOT NULL,          -- date
    buchzeit INTEGER NOT NULL,          -- seconds of the day on the clock at the wall
    gut      REAL                       -- good pieces since the last booking
);

INSERT INTO bde_buchung (satznr, anr, artnr, mnr, kenn, ast, erfart, buchdat, buchzeit, gut) VALUES
    -- The night of the clock change. An interruption splits the order into two runs: 22:00-01:59, and from 03:00,
    -- which is one minute later.
    (1001, '0047110010', '25-1002', 'M1      ', 'A', 'L', ' ', '2025-03-29', 79200, NULL),
    (1002, '0047110010', '25-1002', 'M1      ', 'U', 'U', ' ', '2025-03-30',  7140, 410),
    (1003, '0047110010', '25-1002', 'M1      ', 'A', 'L', ' ', '2025-03-30', 10800, NULL),
    -- A shift change: the next shift signs on, the order goes on.
    (1004, '0047110010', '25-1002', 'M1      ', 'U', 'L', ' ', '2025-03-30', 21600, NULL),
    (1005, '0047110010', '25-1002', 'M1      ', 'E', 'E', ' ', '2025-03-30', 32400, 655),
    -- End of one order and start of the next in the same second. The record numbers say which came first.
    (1006, '0047110020', '25-1003', 'M1      ', 'A', 'L', ' ', '2025-03-30', 32400, NULL),
    (1007, '0047110020', '25-1003', 'M1      ', 'E', 'E', ' ', '2025-03-30', 45000, 320),
    -- A terminal that did not know of the clock change: 02:30 does not exist that night, and is read as 03:30.
    (1008, '0047110030', '30-0007', 'M2      ', 'A', 'L', ' ', '2025-03-30',  9000, NULL),
    (1009, '0047110030', '30-0007', 'M2      ', 'E', 'E', ' ', '2025-03-30', 28800, 96),
    -- Finished at 16:00 by mistake; the foreman cancelled that booking and entered 16:45.
    (1010, '0047110040', '30-0009', 'M2      ', 'A', 'L', ' ', '2025-03-31', 21600, NULL),
    (1011, '0047110040', '30-0009', 'M2      ', 'E', 'E', 'S', '2025-03-31', 57600, 210),
    (1012, '0047110040', '30-0009', 'M2      ', 'E', 'E', 'E', '2025-03-31', 60300, 224),
    -- Nobody finished this one. The next start on the machine ends it.
    (1013, '0047110050', '25-1002', 'M3      ', 'A', 'L', ' ', '2025-03-31', 21600, NULL),
    (1014, '0047110060', '25-1003', 'M3      ', 'A', 'L', ' ', '2025-03-31', 43200, NULL),
    (1015, '0047110060', '25-1003', 'M3      ', 'E', 'E', ' ', '2025-03-31', 50400, 88),
    -- A code that the spec does not know, and a machine that the platform does not know: both go to quarantine.
    (1016, '0047110070', '30-0007', 'M3      ', 'T', 'U', ' ', '2025-03-31', 54000, NULL),
    (1017, '0047110070', '30-0007', 'M99     ', 'A', 'L', ' ', '2025-03-31', 57600, NULL),
    -- Running now: a start without an end.
    (1018, '0047110080', '30-0009', 'M1      ', 'A', 'L', ' ', '2025-04-01', 21600, NULL);

-- Orders of the packing lines: one row an order, kept up to date by the shift leader.
CREATE TABLE auftrag (
    id      INTEGER PRIMARY KEY,
    anr     TEXT NOT NULL,              -- order number
    artnr   TEXT NOT NULL,              -- article
    artbez  TEXT,                       -- its name
    mnr     TEXT NOT NULL,              -- machine
    tag     TEXT NOT NULL,              -- posting date: the day on which the shift began
    beginn  TEXT NOT NULL,              -- HHMMSS
    ende    TEXT,                       -- HHMMSS; null while the order runs
    menge   REAL,                       -- pieces, scrap included
    schrott REAL,                       -- scrap
    einheit TEXT
);

INSERT INTO auftrag (id, anr, artnr, artbez, mnr, tag, beginn, ende, menge, schrott, einheit) VALUES
    (1, 'FA-2025-0311', 'K-200', 'Karton 200 mm, weiß',  'P1', '2025-03-31', '060000', '135500', 5200, 40, 'Stk'),
    -- The night shift posts on the day on which it began: 05:45 is the next morning.
    (2, 'FA-2025-0312', 'K-200', 'Karton 200 mm, weiß',  'P1', '2025-03-31', '220000', '054500', 6100, 55, 'Stk'),
    (3, 'FA-2025-0313', 'K-310', 'Karton 310 mm, braun', 'P2', '2025-03-31', '080000', '120000', 1250.5, 0, 'kg'),
    -- Running now.
    (4, 'FA-2025-0314', 'K-310', 'Karton 310 mm, braun', 'P2', '2025-04-01', '060000', NULL,      300, 0, 'kg'),
    -- A machine that `machines.csv` does not know: quarantine, until the line is added.
    (5, 'FA-2025-0315', 'K-310', 'Karton 310 mm, braun', 'P7', '2025-04-01', '060000', '100000',  900, 12, 'Stk');

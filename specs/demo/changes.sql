-- A day at the demo plant, after the first run:
--
--   sqlite3 specs/demo/mes.db < specs/demo/changes.sql
--   engine run --once specs/demo
--
-- The next run sends what follows from these statements, six runs and one deletion, and nothing else.
-- `git restore specs/demo/mes.db` brings the plant back.

-- The foreman moves the end of 47110020 back by ten minutes: the run is sent again, under the id that it has.
UPDATE bde_buchung SET buchzeit = 44400, erfart = 'E' WHERE satznr = 1007;

-- A booking that was late: order 47110050 was finished at 11:30 and not at 12:00, when the next one began. Its end was
-- derived from that start; now it has one of its own.
INSERT INTO bde_buchung (satznr, anr, artnr, mnr, kenn, ast, erfart, buchdat, buchzeit, gut) VALUES
    (1019, '0047110050', '25-1002', 'M3      ', 'E', 'E', ' ', '2025-03-31', 41400, 60);

-- Order 47110030 was booked on M2 by mistake and is taken out of the table: its run is deleted.
DELETE FROM bde_buchung WHERE satznr IN (1008, 1009);

-- The running order ends, and the next one begins.
INSERT INTO bde_buchung (satznr, anr, artnr, mnr, kenn, ast, erfart, buchdat, buchzeit, gut) VALUES
    (1020, '0047110080', '30-0009', 'M1      ', 'E', 'E', ' ', '2025-04-01', 50400, 130),
    (1021, '0047110090', '25-1002', 'M1      ', 'A', 'L', ' ', '2025-04-01', 50700, NULL);

-- The live order on P2 ends, with its quantity; the quantity of a finished one is corrected.
UPDATE auftrag SET ende = '141500', menge = 980 WHERE id = 4;
UPDATE auftrag SET menge = 5180 WHERE id = 1;

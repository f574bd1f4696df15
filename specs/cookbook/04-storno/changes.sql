-- Marked, with its correction beside it; and deleted.
UPDATE logbook SET state = 'deleted' WHERE id = 1;
INSERT INTO logbook VALUES (4, '4711', '25-1002', 'M1', '2025-03-27 06:00:00', '2025-03-27 10:00:00', 'changed');
DELETE FROM logbook WHERE id = 3;
-- Taken back by its opposite, and booked anew.
INSERT INTO confirmation VALUES
  (2, '4721', '25-1002', 'M3', '2025-03-27 06:00:00', '2025-03-27 10:00:00', -40, 1),
  (3, '4721', '25-1002', 'M3', '2025-03-27 06:00:00', '2025-03-27 10:00:00', 38, NULL);

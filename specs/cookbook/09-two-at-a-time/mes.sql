CREATE TABLE time_entry (
    id INTEGER PRIMARY KEY, order_no TEXT, product TEXT, machine TEXT, person INTEGER, clock_in TEXT, clock_out TEXT
);
INSERT INTO time_entry VALUES
  (1, '4711', '25-1002', 'M1', 17, '2025-03-27 06:00:00', '2025-03-27 10:00:00'),
  (2, '4711', '25-1002', 'M1', 23, '2025-03-27 08:00:00', '2025-03-27 11:30:00');

CREATE TABLE oven_booking (id INTEGER PRIMARY KEY, order_no TEXT, product TEXT, machine TEXT, kind TEXT, booked_at TEXT);
INSERT INTO oven_booking VALUES
  (1, '4721', 'B-1', 'OVEN', 'A', '2025-03-27 06:00:00'),
  (2, '4722', 'B-2', 'OVEN', 'A', '2025-03-27 07:00:00'),
  (3, '4721', 'B-1', 'OVEN', 'E', '2025-03-27 09:00:00'),
  (4, '4722', 'B-2', 'OVEN', 'E', '2025-03-27 11:00:00');

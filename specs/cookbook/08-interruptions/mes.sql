CREATE TABLE booking (
    id INTEGER PRIMARY KEY, order_no TEXT, product TEXT, machine TEXT,
    kind  TEXT,                         -- A begun, U interrupted or change of shift, E ended
    state TEXT,                         -- of the order afterwards: L running, U interrupted, E ended
    booked_at TEXT
);
INSERT INTO booking VALUES
  (1, '4711', '25-1002', 'M1', 'A', 'L', '2025-03-27 06:00:00'),
  (2, '4711', '25-1002', 'M1', 'U', 'U', '2025-03-27 08:00:00'),
  (3, '4711', '25-1002', 'M1', 'A', 'L', '2025-03-27 08:03:00'),
  (4, '4711', '25-1002', 'M1', 'U', 'U', '2025-03-27 09:30:00'),
  (5, '4711', '25-1002', 'M1', 'A', 'L', '2025-03-27 12:00:00'),
  (6, '4711', '25-1002', 'M1', 'U', 'L', '2025-03-27 14:00:00'),
  (7, '4711', '25-1002', 'M1', 'E', 'E', '2025-03-27 15:00:00');

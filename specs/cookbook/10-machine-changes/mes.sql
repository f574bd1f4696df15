CREATE TABLE booking (
    id INTEGER PRIMARY KEY, order_no TEXT, product TEXT,
    kind TEXT,                          -- A begun, M moved, E ended
    from_machine TEXT, to_machine TEXT, booked_at TEXT
);
INSERT INTO booking VALUES
  (1, '4711', '25-1002', 'A', NULL, 'M1', '2025-03-27 06:00:00'),
  (2, '4711', '25-1002', 'M', 'M1', 'M2', '2025-03-27 09:00:00'),
  (3, '4711', '25-1002', 'E', 'M2', NULL, '2025-03-27 12:00:00');

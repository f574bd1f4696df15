CREATE TABLE booking (
    id INTEGER PRIMARY KEY, order_no TEXT, product TEXT, machine TEXT, kind TEXT,
    booked_at  TEXT,                    -- the time that the booking tells of
    entered_at TEXT                     -- when somebody typed it in
);
INSERT INTO booking VALUES
  (1, '4711', '25-1002', 'M1', 'A', '2025-03-24 06:00:00', '2025-03-24 06:00:00'),
  (2, '4711', '25-1002', 'M1', 'E', '2025-03-24 14:00:00', '2025-03-24 14:00:00'),
  (9, '4712', '25-1003', 'M1', 'A', '2025-03-26 06:00:00', '2025-03-26 06:00:00'),
  (10, '4712', '25-1003', 'M1', 'E', '2025-03-26 14:00:00', '2025-03-26 14:00:00');

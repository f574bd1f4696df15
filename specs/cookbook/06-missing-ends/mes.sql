CREATE TABLE booking (id INTEGER PRIMARY KEY, order_no TEXT, product TEXT, machine TEXT, kind TEXT, booked_at TEXT);
INSERT INTO booking VALUES
  (1, '4711', '25-1002', 'M1', 'A', '2025-03-27 06:00:00'),
  (2, '4712', '25-1003', 'M1', 'A', '2025-03-27 09:30:00'),
  (3, '4713', '25-1002', 'M2', 'A', '2025-03-27 07:00:00'),
  (4, '4713', '25-1002', 'M2', 'E', '2025-03-27 08:15:00');

CREATE TABLE production_order (order_no TEXT PRIMARY KEY, product TEXT, state TEXT);
INSERT INTO production_order VALUES ('4711', '25-1002', 'done'), ('4712', '25-1003', 'running');
CREATE TABLE booking (id INTEGER PRIMARY KEY, order_no TEXT, machine TEXT, kind TEXT, booked_at TEXT);
INSERT INTO booking VALUES
  (1, '4711', 'M1', 'A', '2025-03-27 06:00:00'),
  (2, '4711', 'M1', 'E', '2025-03-27 08:00:00'),
  (3, '4712', 'M1', 'A', '2025-03-27 08:00:00'),
  (4, '4712', 'M1', 'E', '2025-03-27 08:20:00');

CREATE TABLE production_order (
    id INTEGER PRIMARY KEY, order_no TEXT, product TEXT, machine TEXT, started_at TEXT NOT NULL, ended_at TEXT NOT NULL
);
INSERT INTO production_order VALUES
  (1, '4711', '25-1002', 'M1', '2025-03-27 06:00:00', '2025-03-27 09:00:00'),
  (2, '4712', '25-1003', 'M1', '2025-03-27 09:00:00', '9999-12-31 00:00:00'),
  (3, '4713', '25-1003', 'M2', '2025-03-27 10:00:00', '1753-01-01 00:00:00'),
  (4, '4714', '25-1003', 'M2', '1753-01-01 00:00:00', '1753-01-01 00:00:00');

CREATE TABLE production_order (
    id INTEGER PRIMARY KEY, order_no TEXT, product TEXT, machine TEXT, started_at TEXT, ended_at TEXT
);
INSERT INTO production_order VALUES
  (1, '4711', '25-1002', 'M1', '2025-03-10 06:00:00', '2025-03-11 10:00:00');

CREATE TABLE work (
    id INTEGER PRIMARY KEY, order_no TEXT, product TEXT, machine TEXT, started_at TEXT, ended_at TEXT, good INTEGER
);
INSERT INTO work VALUES
  (1, '4711', '25-1002', 'M1', '2025-03-27 06:00:00', '2025-03-27 14:00:00', 400);

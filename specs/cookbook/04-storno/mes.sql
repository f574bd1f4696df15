CREATE TABLE logbook (
    id INTEGER PRIMARY KEY, order_no TEXT, product TEXT, machine TEXT, started_at TEXT, ended_at TEXT,
    state TEXT NOT NULL DEFAULT 'original'
);
INSERT INTO logbook (id, order_no, product, machine, started_at, ended_at) VALUES
  (1, '4711', '25-1002', 'M1', '2025-03-27 06:00:00', '2025-03-27 16:00:00'),
  (2, '4712', '25-1003', 'M2', '2025-03-27 06:00:00', '2025-03-27 09:00:00'),
  (3, '4713', '25-1003', 'M2', '2025-03-27 09:00:00', '2025-03-27 11:00:00');

CREATE TABLE confirmation (
    id INTEGER PRIMARY KEY, order_no TEXT, product TEXT, machine TEXT, started_at TEXT, ended_at TEXT, good INTEGER,
    takes_back INTEGER
);
INSERT INTO confirmation VALUES
  (1, '4721', '25-1002', 'M3', '2025-03-27 06:00:00', '2025-03-27 10:00:00', 40, NULL);

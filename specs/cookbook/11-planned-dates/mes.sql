CREATE TABLE work_order (
    id INTEGER PRIMARY KEY, order_no TEXT, product TEXT, machine TEXT, state TEXT,
    started_at TEXT, ended_at TEXT      -- planned until the state says otherwise
);
INSERT INTO work_order VALUES
  (1, '4711', '25-1002', 'M1', 'progress', '2025-03-27 06:10:00', '2025-03-27 12:00:00'),
  (2, '4712', '25-1003', 'M1', 'ready', '2025-03-27 12:00:00', '2025-03-27 15:00:00');

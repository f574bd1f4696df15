CREATE TABLE work (
    id INTEGER PRIMARY KEY, order_no TEXT, product TEXT, machine TEXT,
    started_utc TEXT,                   -- by the server
    ended_local TEXT                    -- by the terminal
);
INSERT INTO work VALUES
  (1, '4711', '25-1002', 'M1', '2025-03-27 05:00:00', '2025-03-27 09:00:00'),
  (2, '4712', '25-1003', 'M1', '2025-03-27 08:00:00', NULL);

CREATE TABLE booking (
    id INTEGER PRIMARY KEY, order_no TEXT, product TEXT, machine TEXT, kind TEXT,
    booked_at   TEXT,                   -- with an offset, since the update
    recorded_at TEXT                    -- local
);
INSERT INTO booking VALUES
  (1, '4721', '25-1002', 'M2', 'A', '2025-03-27T06:00:00+01:00', '2025-03-27 06:00:01'),
  (2, '4721', '25-1002', 'M2', 'E', '2025-03-27T08:00:00Z', '2025-03-27 09:00:01');

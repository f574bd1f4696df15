CREATE TABLE operation (
    plant TEXT, order_no TEXT, operation TEXT, product TEXT, machine TEXT, started_at TEXT, ended_at TEXT,
    PRIMARY KEY (plant, order_no, operation)
);
INSERT INTO operation VALUES
  ('1000', '4711', '0010', '25-1002', 'M1', '2025-03-27 06:00:00', '2025-03-27 08:00:00'),
  ('1000', '4711', '0020', '25-1002', 'M2', '2025-03-27 07:00:00', '2025-03-27 09:00:00'),
  ('2000', '4711', '0010', '88-0001', 'M1', '2025-03-27 06:00:00', '2025-03-27 08:00:00');

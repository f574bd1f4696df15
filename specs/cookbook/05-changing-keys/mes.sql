CREATE TABLE production_order (
    status TEXT, no_ TEXT, item TEXT, machine TEXT, started_at TEXT, ended_at TEXT, PRIMARY KEY (status, no_)
);
INSERT INTO production_order VALUES
  ('Released', 'FA-101', '1000', 'CNC-1', '2025-03-27 06:00:00', NULL),
  ('Firm Planned', 'FA-102', '1000', 'CNC-1', '2025-04-01 06:00:00', NULL);

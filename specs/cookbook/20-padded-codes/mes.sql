CREATE TABLE production_order (
    id INTEGER PRIMARY KEY, anr CHAR(16), artnr REAL, mnr CHAR(8), started_at TEXT, ended_at TEXT
);
INSERT INTO production_order VALUES
  (1, '000047110010    ', 251002.0, 'M1      ', '2025-03-27 06:00:00', '2025-03-27 08:00:00'),
  (2, '000047110020    ', 251002.0, 'm2      ', '2025-03-27 07:00:00', '2025-03-27 09:00:00');

CREATE TABLE article (id INTEGER PRIMARY KEY, code TEXT, name TEXT);
INSERT INTO article VALUES (7, '25-1002', 'Bracket'), (8, '-', 'Sundries');
CREATE TABLE production_order (
    id INTEGER PRIMARY KEY, order_no TEXT, article_id INTEGER, machine TEXT, started_at TEXT, ended_at TEXT
);
INSERT INTO production_order VALUES
  (1, '4711', 7, 'M1', '2025-03-27 06:00:00', '2025-03-27 08:00:00'),
  (2, '4712', 8, 'M1', '2025-03-27 08:00:00', '2025-03-27 09:00:00'),
  (3, '4713', NULL, 'M1', '2025-03-27 09:00:00', '2025-03-27 10:00:00');

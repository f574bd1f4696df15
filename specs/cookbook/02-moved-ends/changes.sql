-- The foreman: 4711 went on until 10:40, and 4712 began after it.
UPDATE production_order SET ended_at = '2025-03-27 10:40:00', good = 466 WHERE id = 1;
UPDATE production_order SET started_at = '2025-03-27 10:40:00', good = 314 WHERE id = 2;

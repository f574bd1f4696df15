INSERT INTO production_order VALUES ('Finished', 'FA-101', '1000', 'CNC-1', '2025-03-27 06:00:00', '2025-03-27 14:10:00');
DELETE FROM production_order WHERE status = 'Released' AND no_ = 'FA-101';

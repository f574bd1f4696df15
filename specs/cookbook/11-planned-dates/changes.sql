UPDATE work_order SET state = 'done', ended_at = '2025-03-27 11:20:00' WHERE id = 1;
UPDATE work_order SET state = 'progress', started_at = '2025-03-27 11:25:00' WHERE id = 2;

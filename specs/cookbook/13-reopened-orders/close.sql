UPDATE production_order SET ended_at = '2025-03-28 15:00:00' WHERE id = 1;

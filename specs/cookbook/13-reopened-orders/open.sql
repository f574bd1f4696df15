UPDATE production_order SET ended_at = NULL WHERE id = 1;

INSERT INTO article VALUES (9, '25-1003', 'Lid');
UPDATE production_order SET article_id = 9 WHERE id = 3;

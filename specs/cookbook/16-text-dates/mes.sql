CREATE TABLE afru (
    rueck TEXT PRIMARY KEY, aufnr TEXT, matnr TEXT, arbpl TEXT,
    isdd TEXT, isdz TEXT,               -- actual start: date, time
    iedd TEXT, iedz TEXT                -- actual end
);
INSERT INTO afru VALUES
  ('0000001', '000000004711', '000000000000251002', 'M1', '20250327', '060000', '20250327', '240000'),
  ('0000002', '000000004712', '000000000000251003', 'M2', '20250328', '054500', '00000000', '000000'),
  ('0000003', '000000004713', '000000000000251003', 'M2', '00000000', '000000', '00000000', '000000');

CREATE TABLE shift_book (
    id INTEGER PRIMARY KEY, order_no TEXT, product TEXT, machine TEXT,
    posting_date TEXT,                  -- the day on which the shift began
    from_time TEXT, to_time TEXT
);
INSERT INTO shift_book VALUES
  (1, '4711', '25-1002', 'M1', '2025-03-29', '22:00', '06:00'),
  (2, '4712', '25-1003', 'M2', '2025-03-29', '22:00', '02:30'),
  (3, '4713', '25-1002', 'M1', '2025-10-25', '22:00', '06:00'),
  (4, '4714', '25-1003', 'M2', '2025-10-25', '22:00', '02:30');

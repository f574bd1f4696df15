-- The rows of postgres.sql. {rows} and {orders} are put in by `load`; numbers come from MariaDB's engine SEQUENCE.
SET SESSION unique_checks = 0, foreign_key_checks = 0;
CREATE TABLE production_order (
  id            bigint PRIMARY KEY,
  order_code    varchar(20)   NOT NULL,
  product_code  varchar(20)   NOT NULL,
  start_at      datetime(3)   NOT NULL,
  end_at        datetime(3),
  machine_code  varchar(12)   NOT NULL,
  planned_qty   decimal(12,3) NOT NULL,
  customer      varchar(40),
  changed_at    datetime(3)   NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
INSERT INTO production_order
SELECT g, CONCAT('FA-', LPAD(g, 8, '0')), CONCAT('PRD-', LPAD(g * 7919 MOD 5000, 5, '0')),
       TIMESTAMP'2024-01-01 00:00:00' + INTERVAL g * 157 SECOND,
       IF(g MOD 20 <> 0, TIMESTAMP'2024-01-01 00:00:00' + INTERVAL g * 157 + 60 + g * 31 MOD 18000 SECOND, NULL),
       CONCAT('M-', LPAD((g - 1) MOD 120, 3, '0')),
       (g * 37 MOD 100000) / 8.0, IF(g MOD 3 <> 0, CONCAT('Customer ', g MOD 700), NULL),
       TIMESTAMP'2024-01-01 00:00:00' + INTERVAL g * 157 + 3600 SECOND
FROM (SELECT seq AS g FROM seq_1_to_{orders}) s;
CREATE TABLE booking (
  id            bigint PRIMARY KEY,
  order_code    varchar(20)   NOT NULL,
  product_code  varchar(20)   NOT NULL,
  machine_code  varchar(12)   NOT NULL,
  event         char(1)       NOT NULL,
  booked_at     datetime(3)   NOT NULL,
  changed_at    datetime(3)   NOT NULL,
  quantity      decimal(12,3) NOT NULL,
  scrap         integer       NOT NULL,
  operator      varchar(40),
  remark        text
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
INSERT INTO booking
SELECT g, CONCAT('FA-', LPAD(o, 8, '0')), CONCAT('PRD-', LPAD(o * 7919 MOD 5000, 5, '0')),
       CONCAT('M-', LPAD((g - 1) MOD 120, 3, '0')),
       SUBSTR('SPRE', 1 + (g - 1) DIV 120 MOD 4, 1),
       TIMESTAMP'2024-01-01 00:00:00' + INTERVAL (g * 15700 + g * 613 MOD 1000) * 1000 MICROSECOND,
       TIMESTAMP'2024-01-01 00:00:00' + INTERVAL (g * 15700 + 90000) * 1000 MICROSECOND,
       (g * 37 MOD 100000) / 8.0, g MOD 97,
       IF(g MOD 11 <> 0, CONCAT('Operator ', g MOD 340), NULL),
       IF(g MOD 5 = 0, CONCAT('Störung Werkzeug ', g MOD 1000, ' – nachgestellt'), NULL)
FROM (SELECT seq AS g, (seq - 1) DIV 480 * 120 + (seq - 1) MOD 120 + 1 AS o FROM seq_1_to_{rows}) s;
-- What the service reads: a few rows of the last hours for each of its pipelines.
CREATE TABLE live_booking LIKE booking;
ALTER TABLE live_booking ADD pipeline integer NOT NULL;
CREATE INDEX live_booking_booked ON live_booking (pipeline, booked_at);
CREATE INDEX booking_booked ON booking (booked_at);
CREATE INDEX booking_changed ON booking (changed_at, id);
CREATE INDEX order_started ON production_order (start_at);
ANALYZE TABLE booking, production_order;

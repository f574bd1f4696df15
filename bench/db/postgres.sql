-- A plant, the same at every time and in every database: psql -v rows=2000000 -v orders=200000.
-- Each of 120 machines works on one order after the other: start, pause, resume, end. A booking comes every 15.7 s.
CREATE TABLE production_order (
  id            bigint PRIMARY KEY,
  order_code    varchar(20)   NOT NULL,
  product_code  varchar(20)   NOT NULL,
  start_at      timestamp(3)  NOT NULL,
  end_at        timestamp(3),
  machine_code  varchar(12)   NOT NULL,
  planned_qty   numeric(12,3) NOT NULL,
  customer      varchar(40),
  changed_at    timestamp(3)  NOT NULL
);
INSERT INTO production_order
SELECT g, 'FA-' || lpad(g::text, 8, '0'), 'PRD-' || lpad((g * 7919 % 5000)::text, 5, '0'),
       timestamp '2024-01-01' + g * interval '157 seconds',
       CASE WHEN g % 20 <> 0 THEN timestamp '2024-01-01' + (g * 157 + 60 + g * 31 % 18000) * interval '1 second' END,
       'M-' || lpad(((g - 1) % 120)::text, 3, '0'),
       (g * 37 % 100000) / 8.0, CASE WHEN g % 3 <> 0 THEN 'Customer ' || (g % 700) END,
       timestamp '2024-01-01' + g * interval '157 seconds' + interval '1 hour'
FROM generate_series(1::bigint, :orders) g;
CREATE TABLE booking (
  id            bigint PRIMARY KEY,
  order_code    varchar(20)   NOT NULL,
  product_code  varchar(20)   NOT NULL,
  machine_code  varchar(12)   NOT NULL,
  event         char(1)       NOT NULL,
  booked_at     timestamp(3)  NOT NULL,
  changed_at    timestamp(3)  NOT NULL,
  quantity      numeric(12,3) NOT NULL,
  scrap         integer       NOT NULL,
  operator      varchar(40),
  remark        text
);
INSERT INTO booking
SELECT g, 'FA-' || lpad(o::text, 8, '0'), 'PRD-' || lpad((o * 7919 % 5000)::text, 5, '0'),
       'M-' || lpad(((g - 1) % 120)::text, 3, '0'),
       substr('SPRE', 1 + ((g - 1) / 120 % 4)::int, 1),
       timestamp '2024-01-01' + (g * 15700 + g * 613 % 1000) * interval '1 millisecond',
       timestamp '2024-01-01' + (g * 15700 + 90000) * interval '1 millisecond',
       (g * 37 % 100000) / 8.0, (g % 97)::int,
       CASE WHEN g % 11 <> 0 THEN 'Operator ' || (g % 340) END,
       CASE WHEN g % 5 = 0 THEN 'Störung Werkzeug ' || (g % 1000) || ' – nachgestellt' END
FROM generate_series(1::bigint, :rows) g, LATERAL (SELECT (g - 1) / 480 * 120 + (g - 1) % 120 + 1 AS o) p;
-- What the service reads: a few rows of the last hours for each of its pipelines.
CREATE TABLE live_booking (LIKE booking);
ALTER TABLE live_booking ADD pipeline integer NOT NULL;
CREATE INDEX booking_booked ON booking (booked_at);
CREATE INDEX booking_changed ON booking (changed_at, id);
CREATE INDEX order_started ON production_order (start_at);
CREATE INDEX live_booking_booked ON live_booking (pipeline, booked_at);
GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader;
VACUUM (ANALYZE, FREEZE) booking;
VACUUM (ANALYZE, FREEZE) production_order;

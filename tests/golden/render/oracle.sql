==== 2025-02-03T11:30:00Z
-- oracle-bookings (oracle)
SELECT id, anr, artnr, mnr, kenn, zeit
FROM "order booking"
WHERE werk IN (:1, :2) AND bereich = :3 AND storno = 0 
AND zeit >= CAST(:4 AS DATE) AND zeit < CAST(:5 AS DATE)
AND tag >= CAST(:6 AS DATE) AND tag < CAST(:7 AS DATE)
AND utc >= CAST(:8 AS DATE) AND sek < :9
AND jjjjmmtt >= :10
-- 1: 1000 (integer, params.plants)
-- 2: 1100 (integer, params.plants)
-- 3: 'Halle '7'; --' (text, params.area)
-- 4: 2025-02-03T11:30:00 (local date-time, window.start)
-- 5: 2025-02-03T12:30:00 (local date-time, window.end)
-- 6: 2025-02-03 (date, window.start | date)
-- 7: 2025-02-04 (date, window.end | date)
-- 8: 2025-02-03T10:30:00 (local date-time, window.start | utc)
-- 9: 1738582200 (integer, window.end | epoch)
-- 10: '20250203' (text, window.start | format("%Y%m%d"))

==== 2025-03-30T01:15:00Z
-- oracle-bookings (oracle)
SELECT id, anr, artnr, mnr, kenn, zeit
FROM "order booking"
WHERE werk IN (:1, :2) AND bereich = :3 AND storno = 0 
AND zeit >= CAST(:4 AS DATE) AND zeit < CAST(:5 AS DATE)
AND tag >= CAST(:6 AS DATE) AND tag < CAST(:7 AS DATE)
AND utc >= CAST(:8 AS DATE) AND sek < :9
AND jjjjmmtt >= :10
-- 1: 1000 (integer, params.plants)
-- 2: 1100 (integer, params.plants)
-- 3: 'Halle '7'; --' (text, params.area)
-- 4: 2025-03-30T01:15:00 (local date-time, window.start)
-- 5: 2025-03-30T03:15:00 (local date-time, window.end)
-- 6: 2025-03-30 (date, window.start | date)
-- 7: 2025-03-31 (date, window.end | date)
-- 8: 2025-03-30T00:15:00 (local date-time, window.start | utc)
-- 9: 1743297300 (integer, window.end | epoch)
-- 10: '20250330' (text, window.start | format("%Y%m%d"))

==== 2025-10-26T01:15:00Z
-- oracle-bookings (oracle)
SELECT id, anr, artnr, mnr, kenn, zeit
FROM "order booking"
WHERE werk IN (:1, :2) AND bereich = :3 AND storno = 0 
AND zeit >= CAST(:4 AS DATE) AND zeit < CAST(:5 AS DATE)
AND tag >= CAST(:6 AS DATE) AND tag < CAST(:7 AS DATE)
AND utc >= CAST(:8 AS DATE) AND sek < :9
AND jjjjmmtt >= :10
-- 1: 1000 (integer, params.plants)
-- 2: 1100 (integer, params.plants)
-- 3: 'Halle '7'; --' (text, params.area)
-- 4: 2025-10-26T02:00:00 (local date-time, window.start)
-- 5: 2025-10-26T03:00:00 (local date-time, window.end)
-- 6: 2025-10-26 (date, window.start | date)
-- 7: 2025-10-27 (date, window.end | date)
-- 8: 2025-10-26T00:15:00 (local date-time, window.start | utc)
-- 9: 1761441300 (integer, window.end | epoch)
-- 10: '20251026' (text, window.start | format("%Y%m%d"))


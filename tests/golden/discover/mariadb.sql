-- the session
SELECT IF(@@session.time_zone = 'SYSTEM', @@system_time_zone, @@session.time_zone), DATABASE();

-- tables and views
SELECT TABLE_SCHEMA, TABLE_NAME, IF(TABLE_TYPE LIKE '%VIEW%', 'view', 'table'),
    IF(TABLE_TYPE LIKE '%VIEW%', NULL, NULLIF(TABLE_COMMENT, '')), TABLE_ROWS, 1
FROM information_schema.TABLES
WHERE TABLE_SCHEMA NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys')
    AND TABLE_SCHEMA LIKE ?
ORDER BY TABLE_SCHEMA, TABLE_NAME;

-- columns of tables
SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, COLUMN_TYPE, IS_NULLABLE = 'YES',
    NULLIF(CONCAT_WS('; ', NULLIF(COLUMN_COMMENT, ''), NULLIF(EXTRA, '')), '')
FROM information_schema.COLUMNS
WHERE TABLE_SCHEMA NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys')
    AND TABLE_NAME IN (?, ?)
ORDER BY TABLE_SCHEMA, TABLE_NAME, ORDINAL_POSITION;

-- indexes of tables
SELECT TABLE_SCHEMA, TABLE_NAME, INDEX_NAME, NON_UNIQUE = 0, INDEX_NAME = 'PRIMARY', COLUMN_NAME
FROM information_schema.STATISTICS
WHERE TABLE_SCHEMA NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys')
    AND TABLE_NAME IN (?, ?)
ORDER BY TABLE_SCHEMA, TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX;

-- foreign keys of tables
SELECT TABLE_SCHEMA, TABLE_NAME, CONSTRAINT_NAME, COLUMN_NAME, REFERENCED_TABLE_SCHEMA, REFERENCED_TABLE_NAME,
    REFERENCED_COLUMN_NAME
FROM information_schema.KEY_COLUMN_USAGE
WHERE REFERENCED_TABLE_NAME IS NOT NULL AND TABLE_NAME IN (?, ?)
ORDER BY TABLE_SCHEMA, TABLE_NAME, CONSTRAINT_NAME, ORDINAL_POSITION;

-- rows
SELECT `Menge [kg]` FROM `Werk 1`.`BDE.Buchung` LIMIT 1001;

-- the latest rows
SELECT `Menge [kg]` FROM `Werk 1`.`BDE.Buchung` WHERE `Menge [kg]` IS NOT NULL ORDER BY `Menge [kg]` DESC LIMIT 1001;

-- the number of rows
SELECT COUNT(*) FROM (SELECT 1 AS one FROM `Werk 1`.`BDE.Buchung` LIMIT 100001) AS counted;

-- the first and the last value
SELECT (SELECT MIN(`Menge [kg]`) FROM `Werk 1`.`BDE.Buchung`) AS lowest, (SELECT MAX(`Menge [kg]`) FROM `Werk 1`.`BDE.Buchung`) AS highest;

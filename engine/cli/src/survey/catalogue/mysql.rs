//! MySQL and MariaDB. Both show an account only what it has a right to.

use super::{Catalogue, Limit};

pub(super) const CATALOGUE: Catalogue = Catalogue {
    session: "SELECT IF(@@session.time_zone = 'SYSTEM', @@system_time_zone, @@session.time_zone), DATABASE()",
    tables: "\
SELECT TABLE_SCHEMA, TABLE_NAME, IF(TABLE_TYPE LIKE '%VIEW%', 'view', 'table'),
    IF(TABLE_TYPE LIKE '%VIEW%', NULL, NULLIF(TABLE_COMMENT, '')), TABLE_ROWS, 1
FROM information_schema.TABLES
WHERE TABLE_SCHEMA NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys')
    AND TABLE_SCHEMA LIKE {{ params.schema }}
ORDER BY TABLE_SCHEMA, TABLE_NAME",
    // What the server sets by itself is no comment, but says as much: `on update CURRENT_TIMESTAMP`.
    columns: "\
SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, COLUMN_TYPE, IS_NULLABLE = 'YES',
    NULLIF(CONCAT_WS('; ', NULLIF(COLUMN_COMMENT, ''), NULLIF(EXTRA, '')), '')
FROM information_schema.COLUMNS
WHERE TABLE_SCHEMA NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys')
    AND TABLE_NAME IN {{ params.tables }}
ORDER BY TABLE_SCHEMA, TABLE_NAME, ORDINAL_POSITION",
    indexes: "\
SELECT TABLE_SCHEMA, TABLE_NAME, INDEX_NAME, NON_UNIQUE = 0, INDEX_NAME = 'PRIMARY', COLUMN_NAME
FROM information_schema.STATISTICS
WHERE TABLE_SCHEMA NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys')
    AND TABLE_NAME IN {{ params.tables }}
ORDER BY TABLE_SCHEMA, TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX",
    foreign_keys: "\
SELECT TABLE_SCHEMA, TABLE_NAME, CONSTRAINT_NAME, COLUMN_NAME, REFERENCED_TABLE_SCHEMA, REFERENCED_TABLE_NAME,
    REFERENCED_COLUMN_NAME
FROM information_schema.KEY_COLUMN_USAGE
WHERE REFERENCED_TABLE_NAME IS NOT NULL AND TABLE_NAME IN {{ params.tables }}
ORDER BY TABLE_SCHEMA, TABLE_NAME, CONSTRAINT_NAME, ORDINAL_POSITION",
    limit: Limit::Last,
};

//! SQL Server: the catalogue views of a database, which show an account only what it has a right to.

use super::{Catalogue, Limit};

pub(super) const CATALOGUE: Catalogue = Catalogue {
    session: "SELECT DATENAME(TZOFFSET, SYSDATETIMEOFFSET()), SCHEMA_NAME()",
    tables: "\
SELECT s.name, o.name, CASE o.type WHEN 'V' THEN 'view' ELSE 'table' END,
    CONVERT(nvarchar(4000), (SELECT e.value FROM sys.extended_properties e
        WHERE e.class = 1 AND e.major_id = o.object_id AND e.minor_id = 0 AND e.name = N'MS_Description')),
    (SELECT SUM(p.rows) FROM sys.partitions p WHERE p.object_id = o.object_id AND p.index_id IN (0, 1)),
    HAS_PERMS_BY_NAME(QUOTENAME(s.name) + N'.' + QUOTENAME(o.name), N'OBJECT', N'SELECT')
FROM sys.objects o JOIN sys.schemas s ON s.schema_id = o.schema_id
WHERE o.type IN ('U', 'V') AND o.is_ms_shipped = 0 AND s.name LIKE {{ params.schema }}
ORDER BY s.name, o.name",
    // A type that somebody named (`CREATE TYPE Flag FROM bit`) is the one that it was made from.
    columns: "\
SELECT s.name, o.name, c.name,
    y.name + CASE
        WHEN y.name IN (N'char', N'varchar', N'binary', N'varbinary', N'nchar', N'nvarchar')
            AND c.max_length = -1 THEN N'(max)'
        WHEN y.name IN (N'char', N'varchar', N'binary', N'varbinary')
            THEN N'(' + CONVERT(nvarchar(10), c.max_length) + N')'
        WHEN y.name IN (N'nchar', N'nvarchar') THEN N'(' + CONVERT(nvarchar(10), c.max_length / 2) + N')'
        WHEN y.name IN (N'decimal', N'numeric')
            THEN N'(' + CONVERT(nvarchar(10), c.precision) + N',' + CONVERT(nvarchar(10), c.scale) + N')'
        ELSE N'' END,
    c.is_nullable,
    CONVERT(nvarchar(4000), (SELECT e.value FROM sys.extended_properties e
        WHERE e.class = 1 AND e.major_id = c.object_id AND e.minor_id = c.column_id AND e.name = N'MS_Description'))
FROM sys.columns c JOIN sys.objects o ON o.object_id = c.object_id JOIN sys.schemas s ON s.schema_id = o.schema_id
CROSS APPLY (SELECT COALESCE(TYPE_NAME(c.system_type_id), TYPE_NAME(c.user_type_id)) AS name) y
WHERE o.type IN ('U', 'V') AND o.is_ms_shipped = 0 AND o.name IN {{ params.tables }}
ORDER BY s.name, o.name, c.column_id",
    indexes: "\
SELECT s.name, o.name, i.name, i.is_unique, i.is_primary_key, c.name
FROM sys.indexes i JOIN sys.objects o ON o.object_id = i.object_id JOIN sys.schemas s ON s.schema_id = o.schema_id
JOIN sys.index_columns k ON k.object_id = i.object_id AND k.index_id = i.index_id
JOIN sys.columns c ON c.object_id = k.object_id AND c.column_id = k.column_id
WHERE o.type = 'U' AND i.has_filter = 0 AND i.is_disabled = 0 AND k.key_ordinal > 0 AND o.name IN {{ params.tables }}
ORDER BY s.name, o.name, i.index_id, k.key_ordinal",
    foreign_keys: "\
SELECT s.name, o.name, f.name, c.name, ts.name, t.name, tc.name
FROM sys.foreign_keys f JOIN sys.foreign_key_columns k ON k.constraint_object_id = f.object_id
JOIN sys.objects o ON o.object_id = k.parent_object_id JOIN sys.schemas s ON s.schema_id = o.schema_id
JOIN sys.columns c ON c.object_id = k.parent_object_id AND c.column_id = k.parent_column_id
JOIN sys.objects t ON t.object_id = k.referenced_object_id JOIN sys.schemas ts ON ts.schema_id = t.schema_id
JOIN sys.columns tc ON tc.object_id = k.referenced_object_id AND tc.column_id = k.referenced_column_id
WHERE o.name IN {{ params.tables }}
ORDER BY s.name, o.name, f.name, k.constraint_column_id",
    limit: Limit::Top,
};

-- the session
SELECT current_setting('TimeZone'), current_schema()::text;

-- tables and views
SELECT n.nspname::text, c.relname::text, CASE c.relkind WHEN 'v' THEN 'view' ELSE 'table' END,
    pg_catalog.obj_description(c.oid, 'pg_class'),
    CASE WHEN c.relkind <> 'v' AND c.reltuples >= 0 THEN c.reltuples::bigint END,
    pg_catalog.has_any_column_privilege(c.oid, 'SELECT') AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
    AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%'
    AND n.nspname::text LIKE $1
ORDER BY 1, 2;

-- columns of tables
SELECT n.nspname::text, c.relname::text, a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod),
    NOT a.attnotnull, pg_catalog.col_description(c.oid, a.attnum)
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE a.attnum > 0 AND NOT a.attisdropped AND pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT')
    AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relname::text IN ($1, $2)
ORDER BY 1, 2, a.attnum;

-- indexes of tables
SELECT n.nspname::text, c.relname::text, x.relname::text, i.indisunique, i.indisprimary, a.attname::text
FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid JOIN pg_catalog.pg_class c ON c.oid = i.indrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, place)
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
WHERE i.indisvalid AND i.indexprs IS NULL AND i.indpred IS NULL AND k.place <= i.indnkeyatts
    AND c.relname::text IN ($1, $2)
ORDER BY 1, 2, 3, k.place;

-- foreign keys of tables
SELECT n.nspname::text, c.relname::text, f.conname::text, a.attname::text, tn.nspname::text, t.relname::text,
    ta.attname::text
FROM pg_catalog.pg_constraint f
JOIN pg_catalog.pg_class c ON c.oid = f.conrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_class t ON t.oid = f.confrelid JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace
CROSS JOIN LATERAL unnest(f.conkey, f.confkey) WITH ORDINALITY AS k (from_number, to_number, place)
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.from_number
JOIN pg_catalog.pg_attribute ta ON ta.attrelid = t.oid AND ta.attnum = k.to_number
WHERE f.contype = 'f' AND c.relname::text IN ($1, $2)
ORDER BY 1, 2, 3, k.place;

-- rows
SELECT "Menge [kg]" FROM "Werk 1"."BDE.Buchung" LIMIT 1001;

-- the latest rows
SELECT "Menge [kg]" FROM "Werk 1"."BDE.Buchung" WHERE "Menge [kg]" IS NOT NULL ORDER BY "Menge [kg]" DESC LIMIT 1001;

-- the number of rows
SELECT COUNT(*) FROM (SELECT 1 AS one FROM "Werk 1"."BDE.Buchung" LIMIT 100001) AS counted;

-- the first and the last value
SELECT (SELECT MIN("Menge [kg]") FROM "Werk 1"."BDE.Buchung") AS lowest, (SELECT MAX("Menge [kg]") FROM "Werk 1"."BDE.Buchung") AS highest;

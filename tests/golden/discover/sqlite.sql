-- the session
SELECT NULL, NULL;

-- tables and views
SELECT NULL, name, type, NULL, NULL, 1 FROM sqlite_schema
WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\_%' ESCAPE '\' AND 'main' LIKE ?1
ORDER BY name;

-- columns of tables
SELECT NULL, m.name, c.name, c.type, NOT c."notnull", NULL
FROM sqlite_schema m JOIN pragma_table_info(m.name) c
WHERE m.type IN ('table', 'view') AND m.name IN (?1, ?2)
ORDER BY m.name, c.cid;

-- indexes of tables
SELECT NULL, m.name, l.name, l."unique", 0, i.name, i.seqno
FROM sqlite_schema m JOIN pragma_index_list(m.name) l JOIN pragma_index_info(l.name) i
WHERE m.type = 'table' AND l.origin <> 'pk' AND l.partial = 0 AND i.name IS NOT NULL AND m.name IN (?1, ?2)
UNION ALL
SELECT NULL, m.name, 'PRIMARY KEY', 1, 1, c.name, c.pk
FROM sqlite_schema m JOIN pragma_table_info(m.name) c
WHERE m.type = 'table' AND c.pk > 0 AND m.name IN (?3, ?4)
ORDER BY 2, 3, 7;

-- foreign keys of tables
SELECT NULL, m.name, 'foreign key ' || f.id, f."from", NULL, f."table", f."to"
FROM sqlite_schema m JOIN pragma_foreign_key_list(m.name) f
WHERE m.type = 'table' AND m.name IN (?1, ?2)
ORDER BY m.name, f.id, f.seq;

-- rows
SELECT "Menge [kg]" FROM "Werk 1"."BDE.Buchung" LIMIT 1001;

-- the latest rows
SELECT "Menge [kg]" FROM "Werk 1"."BDE.Buchung" WHERE "Menge [kg]" IS NOT NULL ORDER BY "Menge [kg]" DESC LIMIT 1001;

-- the number of rows
SELECT COUNT(*) FROM (SELECT 1 AS one FROM "Werk 1"."BDE.Buchung" LIMIT 100001) AS counted;

-- the first and the last value
SELECT (SELECT MIN("Menge [kg]") FROM "Werk 1"."BDE.Buchung") AS lowest, (SELECT MAX("Menge [kg]") FROM "Werk 1"."BDE.Buchung") AS highest;

//! SQLite: `sqlite_schema`, and the pragmas that can be read like tables.

use super::{Catalogue, Limit};

pub(super) const CATALOGUE: Catalogue = Catalogue {
    session: "SELECT NULL, NULL",
    tables: "\
SELECT NULL, name, type, NULL, NULL, 1 FROM sqlite_schema
WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND 'main' LIKE {{ params.schema }}
ORDER BY name",
    columns: "\
SELECT NULL, m.name, c.name, c.type, NOT c.\"notnull\", NULL
FROM sqlite_schema m JOIN pragma_table_info(m.name) c
WHERE m.type IN ('table', 'view') AND m.name IN {{ params.tables }}
ORDER BY m.name, c.cid",
    // The key of a table that is found by its row number has no index of its own.
    indexes: "\
SELECT NULL, m.name, l.name, l.\"unique\", 0, i.name, i.seqno
FROM sqlite_schema m JOIN pragma_index_list(m.name) l JOIN pragma_index_info(l.name) i
WHERE m.type = 'table' AND l.origin <> 'pk' AND l.partial = 0 AND i.name IS NOT NULL AND m.name IN {{ params.tables }}
UNION ALL
SELECT NULL, m.name, 'PRIMARY KEY', 1, 1, c.name, c.pk
FROM sqlite_schema m JOIN pragma_table_info(m.name) c
WHERE m.type = 'table' AND c.pk > 0 AND m.name IN {{ params.tables }}
ORDER BY 2, 3, 7",
    foreign_keys: "\
SELECT NULL, m.name, 'foreign key ' || f.id, f.\"from\", NULL, f.\"table\", f.\"to\"
FROM sqlite_schema m JOIN pragma_foreign_key_list(m.name) f
WHERE m.type = 'table' AND m.name IN {{ params.tables }}
ORDER BY m.name, f.id, f.seq",
    limit: Limit::Last,
};

//! Oracle: the `ALL_` views, which show an account only what it has a right to.

use super::{Catalogue, Limit};

/// What Oracle itself owns. The column that says so is missing before 12c.
macro_rules! not_of_oracle {
    ($owner:literal) => {
        concat!(
            $owner,
            " NOT IN ('SYS', 'SYSTEM', 'XDB', 'MDSYS', 'CTXSYS', 'ORDSYS', 'ORDDATA', 'OLAPSYS', 'WMSYS', 'LBACSYS',\n",
            "    'DVSYS', 'AUDSYS', 'GSMADMIN_INTERNAL', 'DBSNMP', 'OUTLN', 'OJVMSYS', 'APPQOSSYS', 'DBSFWUSER')"
        )
    };
}

pub(super) const CATALOGUE: Catalogue = Catalogue {
    session: "SELECT SESSIONTIMEZONE, SYS_CONTEXT('USERENV', 'CURRENT_SCHEMA') FROM DUAL",
    tables: concat!(
        "SELECT t.OWNER, t.TABLE_NAME, t.KIND, c.COMMENTS, t.NUM_ROWS, 1\n",
        "FROM (SELECT OWNER, TABLE_NAME, 'table' AS KIND, NUM_ROWS FROM ALL_TABLES WHERE NESTED = 'NO'\n",
        "    UNION ALL SELECT OWNER, VIEW_NAME, 'view', NULL FROM ALL_VIEWS) t\n",
        "LEFT JOIN ALL_TAB_COMMENTS c ON c.OWNER = t.OWNER AND c.TABLE_NAME = t.TABLE_NAME\n",
        "WHERE ",
        not_of_oracle!("t.OWNER"),
        "\n    AND t.OWNER LIKE {{ params.schema }}\n",
        "ORDER BY t.OWNER, t.TABLE_NAME"
    ),
    columns: concat!(
        "SELECT c.OWNER, c.TABLE_NAME, c.COLUMN_NAME,\n",
        "    CASE WHEN c.DATA_TYPE IN ('CHAR', 'VARCHAR2', 'NCHAR', 'NVARCHAR2')\n",
        "            THEN c.DATA_TYPE || '(' || c.CHAR_LENGTH || ')'\n",
        "        WHEN c.DATA_TYPE = 'NUMBER' AND c.DATA_PRECISION IS NOT NULL AND c.DATA_SCALE > 0\n",
        "            THEN 'NUMBER(' || c.DATA_PRECISION || ',' || c.DATA_SCALE || ')'\n",
        "        WHEN c.DATA_TYPE = 'NUMBER' AND c.DATA_PRECISION IS NOT NULL THEN 'NUMBER(' || c.DATA_PRECISION || ')'\n",
        "        ELSE c.DATA_TYPE END,\n",
        "    CASE c.NULLABLE WHEN 'Y' THEN 1 ELSE 0 END, m.COMMENTS\n",
        "FROM ALL_TAB_COLUMNS c\n",
        "LEFT JOIN ALL_COL_COMMENTS m\n",
        "    ON m.OWNER = c.OWNER AND m.TABLE_NAME = c.TABLE_NAME AND m.COLUMN_NAME = c.COLUMN_NAME\n",
        "WHERE ",
        not_of_oracle!("c.OWNER"),
        "\n    AND c.TABLE_NAME IN {{ params.tables }}\n",
        "ORDER BY c.OWNER, c.TABLE_NAME, c.COLUMN_ID"
    ),
    indexes: concat!(
        "SELECT i.TABLE_OWNER, i.TABLE_NAME, i.INDEX_NAME, CASE i.UNIQUENESS WHEN 'UNIQUE' THEN 1 ELSE 0 END,\n",
        "    CASE WHEN k.CONSTRAINT_NAME IS NULL THEN 0 ELSE 1 END, c.COLUMN_NAME\n",
        "FROM ALL_INDEXES i\n",
        "JOIN ALL_IND_COLUMNS c ON c.INDEX_OWNER = i.OWNER AND c.INDEX_NAME = i.INDEX_NAME\n",
        "LEFT JOIN ALL_CONSTRAINTS k ON k.OWNER = i.TABLE_OWNER AND k.TABLE_NAME = i.TABLE_NAME\n",
        "    AND k.INDEX_NAME = i.INDEX_NAME AND k.CONSTRAINT_TYPE = 'P'\n",
        "WHERE ",
        not_of_oracle!("i.TABLE_OWNER"),
        "\n    AND i.INDEX_TYPE NOT LIKE 'FUNCTION%' AND i.TABLE_NAME IN {{ params.tables }}\n",
        "ORDER BY i.TABLE_OWNER, i.TABLE_NAME, i.INDEX_NAME, c.COLUMN_POSITION"
    ),
    foreign_keys: concat!(
        "SELECT f.OWNER, f.TABLE_NAME, f.CONSTRAINT_NAME, c.COLUMN_NAME, t.OWNER, t.TABLE_NAME, t.COLUMN_NAME\n",
        "FROM ALL_CONSTRAINTS f\n",
        "JOIN ALL_CONS_COLUMNS c ON c.OWNER = f.OWNER AND c.CONSTRAINT_NAME = f.CONSTRAINT_NAME\n",
        "JOIN ALL_CONS_COLUMNS t ON t.OWNER = f.R_OWNER AND t.CONSTRAINT_NAME = f.R_CONSTRAINT_NAME\n",
        "    AND t.POSITION = c.POSITION\n",
        "WHERE f.CONSTRAINT_TYPE = 'R' AND f.TABLE_NAME IN {{ params.tables }}\n",
        "ORDER BY f.OWNER, f.TABLE_NAME, f.CONSTRAINT_NAME, c.POSITION"
    ),
    limit: Limit::Rownum,
};

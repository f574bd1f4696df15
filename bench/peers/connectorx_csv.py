"""connectorx_csv.py postgres|mariadb FILE: the statement in FEED_SQL to CSV. The whole result is in memory."""
import os
import sys

import connectorx
import pyarrow.csv

database, path = sys.argv[1:3]
address = os.environ["PG_URL"].replace("postgres:", "postgresql:", 1) if database == "postgres" else os.environ["MY_URL"]
table = connectorx.read_sql(address, os.environ["FEED_SQL"], return_type="arrow")
pyarrow.csv.write_csv(table, path, pyarrow.csv.WriteOptions(include_header=False))

"""dlt_http.py pyarrow|connectorx postgres|mariadb full|new: bookings by dlt to the sink, 5,000 a request."""
import os
import shutil
import sys

backend, database, mode = sys.argv[1:4]
home = f"{os.environ['BENCH_WORK']}/peers/dlt/pipelines/{backend}-{database}-{mode}"
shutil.rmtree(home, ignore_errors=True)
os.environ.update(
    RUNTIME__DLTHUB_TELEMETRY="false",
    RUNTIME__LOG_LEVEL="ERROR",
    NORMALIZE__DATA_WRITER__DISABLE_COMPRESSION="true",
    SOURCES__DATA_WRITER__BUFFER_MAX_ITEMS="50000",
    DLT_DATA_DIR=f"{home}/data",
)
import dlt  # noqa: E402
import httpx  # noqa: E402
import orjson  # noqa: E402
import pendulum  # noqa: E402
from dlt.sources.sql_database import sql_table  # noqa: E402

COLUMNS = ["id", "order_code", "product_code", "machine_code", "event", "booked_at", "changed_at"]
plain = os.environ["PG_URL"].replace("postgres:", "postgresql:", 1) if database == "postgres" else os.environ["MY_URL"]
driver = {"postgres": ("postgresql:", "postgresql+psycopg2:"), "mariadb": ("mysql:", "mysql+pymysql:")}[database]
more = {"backend_kwargs": {"conn": plain}} if backend == "connectorx" else {}
if mode == "new":
    since = pendulum.parse(os.environ["SINCE"], tz=None).naive()
    more["incremental"] = dlt.sources.incremental("changed_at", initial_value=since, row_order=None)
client = httpx.Client()


@dlt.destination(batch_size=5000, loader_file_format="parquet", name="sink", max_parallel_load_jobs=2)
def sink(items, table):
    rows = items if isinstance(items, list) else items.to_pylist()
    body = b"\n".join(orjson.dumps(row) for row in rows) + b"\n"
    client.post(f"http://{os.environ['SINK']}/ingest", content=body).raise_for_status()


table = sql_table(
    credentials=plain.replace(*driver, 1),
    table="booking",
    schema="public" if database == "postgres" else None,
    backend=backend,
    chunk_size=50000,
    included_columns=COLUMNS,
    **more,
)
pipeline = dlt.pipeline(f"{backend}_{database}_{mode}", destination=sink, dataset_name="plant", pipelines_dir=home)
pipeline.run(table, loader_file_format="parquet", write_disposition="append").raise_on_failed_jobs()

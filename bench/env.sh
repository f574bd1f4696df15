# Sourced by the scripts of this folder. Whatever is set here can be set outside instead.
BENCH=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# Databases, states, outputs and the programs of others: some 4 GB for 2,000,000 rows.
: "${BENCH_WORK:=$BENCH/../target/bench}"
: "${ROWS:=2000000}"
: "${ORDERS:=200000}"
: "${PG_BIN:=$(ls -d /usr/lib/postgresql/*/bin 2> /dev/null | sort -V | tail -n 1)}"
: "${BENCH_PG_PORT:=55432}"
: "${BENCH_MY_PORT:=53306}"
: "${BENCH_SINK_PORT:=58080}"
# Servers do not run as root; where root starts them, they run as these.
: "${PG_OS_USER:=postgres}"
: "${MY_OS_USER:=mysql}"
mkdir -p "$BENCH_WORK"
BENCH_WORK=$(realpath "$BENCH_WORK")
# Rows of every size have a database of their own, so that they can stay. `bench` owns them; the engine reads as `reader`.
DB_NAME=plant_$ROWS
export PGPASSWORD=bench
PG_URL="postgres://reader:reader@127.0.0.1:$BENCH_PG_PORT/$DB_NAME"
MY_URL="mysql://reader:reader@127.0.0.1:$BENCH_MY_PORT/$DB_NAME"
export BENCH BENCH_WORK ROWS ORDERS PG_BIN BENCH_PG_PORT BENCH_MY_PORT BENCH_SINK_PORT PG_OS_USER MY_OS_USER DB_NAME PG_URL MY_URL

postgres_sql() { psql -X -q -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "$BENCH_PG_PORT" -U bench -d "${DB:-$DB_NAME}" "$@"; }
mariadb_sql() { mariadb --no-defaults -h 127.0.0.1 -P "$BENCH_MY_PORT" -u bench -pbench "$@"; }

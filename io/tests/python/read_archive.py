"""Reads an archive file with pyarrow and with DuckDB and prints what each finds, as JSON."""

import json
import sys

import duckdb
import pyarrow.parquet as parquet

path = sys.argv[1]
file = parquet.ParquetFile(path)
metadata = file.metadata
groups = []
for index in range(metadata.num_row_groups):
    group = metadata.row_group(index)
    columns = [group.column(column) for column in range(group.num_columns)]
    groups.append(
        {
            "rows": group.num_rows,
            "hosts": [columns[1].statistics.min, columns[1].statistics.max],
            "sorted_by": [
                [column.column_index, column.descending] for column in group.sorting_columns
            ],
            "compression": sorted({column.compression for column in columns}),
            "encodings": {column.path_in_schema: sorted(column.encodings) for column in columns},
        }
    )
table = file.read()
connection = duckdb.connect()
rows = connection.execute("SELECT * FROM read_parquet(?)", [path]).fetchall()
print(
    json.dumps(
        {
            "created_by": metadata.created_by,
            "schema": [[field.name, str(field.type), field.nullable] for field in file.schema_arrow],
            "groups": groups,
            "arrow_rows": [list(row.values()) for row in table.to_pylist()],
            "duckdb_rows": [list(row) for row in rows],
            "duckdb_types": [
                [row[0], row[1]]
                for row in connection.execute(
                    "DESCRIBE SELECT * FROM read_parquet(?)", [path]
                ).fetchall()
            ],
            "duckdb_sum": connection.execute(
                "SELECT metric, count(*), sum(value) FROM read_parquet(?) WHERE scope = 'hwthread' GROUP BY metric ORDER BY metric",
                [path],
            ).fetchall(),
        }
    )
)

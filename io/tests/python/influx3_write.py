"""Writes with the client library of InfluxDB 3, over its own call; prints what it was told, as JSON.

Usage: influx3_write.py URL TOKEN SECONDS
"""

import json
import sys

from influxdb_client_3 import InfluxDBClient3, Point, WriteOptions, WriteType, write_client_options
from influxdb_client_3.exceptions import InfluxDBError

url, token, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3])
told = {}


def client(token, **options):
    options = WriteOptions(write_type=WriteType.synchronous, use_v2_api=False, **options)
    return InfluxDBClient3(host=url, token=token, database="py3", write_client_options=write_client_options(write_options=options))


for name, write_precision, time in (("s", "s", seconds), ("ms", "ms", seconds * 1000), ("ns", "ns", seconds * 10**9)):
    with client(token, no_sync=True) as influx:
        point = Point("cpu_load").tag("host", name).field("value", 1.5).time(time, write_precision)
        influx.write(point, write_precision=write_precision)
with client(token) as influx:
    told["version"] = influx.get_server_version()
    try:
        influx.write([f"cpu_load,host=kept value=1.5 {seconds}", "cpu_load,host=x value=nonsense 1"], write_precision="s")
    except InfluxDBError as error:
        told["error"] = str(error.message)
try:
    with client("wrong") as influx:
        influx.write("cpu_load,host=h value=1 1", write_precision="s")
except InfluxDBError as error:
    told["wrong token"] = error.response.status
print(json.dumps(told))

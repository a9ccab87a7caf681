"""Writes with the client library of InfluxDB 2; prints what it was told, as JSON.

Usage: influx_write.py URL TOKEN SECONDS
"""

import json
import sys

from influxdb_client import InfluxDBClient, Point, WritePrecision
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException

url, token, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3])
told = {}


def load(host, value, time, precision):
    point = Point("cpu_load").tag("hostname", host).tag("unit", "a b,c=d")
    return point.field("value", value).time(time, precision)


for gzip in (False, True):
    with InfluxDBClient(url=url, token=token, org="any", enable_gzip=gzip) as client:
        told["ping"] = client.ping()
        told["version"] = client.version()
        told["health"] = client.health().status
        write = client.write_api(write_options=SYNCHRONOUS)
        # One call a unit: the library sends each under its own precision.
        write.write("py/autogen", record=[load(f"s{gzip:d}", 1.5, seconds, WritePrecision.S)])
        write.write("py", record=load(f"ms{gzip:d}", 2.5, seconds * 1000 + 999, WritePrecision.MS), write_precision="ms")
        write.write("py", record=load(f"us{gzip:d}", 3.5, seconds * 1000000, WritePrecision.US), write_precision="us")
        write.write("py", record=load(f"ns{gzip:d}", 4, seconds * 1000000000, WritePrecision.NS))
        fields = Point("mem").tag("host", f"f{gzip:d}").field("used", 7.25).field("total", 9).field("swap", True)
        write.write("py", record=fields.field("note", 'a "b", c').time(seconds, WritePrecision.S))
        try:
            write.write("py", record=["cpu_load,host=kept value=1 1", "cpu_load,host=x value=nonsense 1"])
        except ApiException as error:
            told["error"] = {"status": error.status, "message": error.message, "body": json.loads(error.body)}
try:
    with InfluxDBClient(url=url, token="wrong", org="any") as client:
        client.write_api(write_options=SYNCHRONOUS).write("py", record="cpu_load,host=h value=1 1")
    told["wrong token"] = "accepted"
except ApiException as error:
    told["wrong token"] = error.status
print(json.dumps(told))

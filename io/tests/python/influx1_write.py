"""Writes with the client library of InfluxDB 1; prints what it was told, as JSON.

Usage: influx1_write.py PORT TOKEN SECONDS
"""

import json
import sys

from influxdb import InfluxDBClient
from influxdb.exceptions import InfluxDBClientError

port, token, seconds = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
told = {}

client = InfluxDBClient("127.0.0.1", port, "anybody", token, "py1")
told["ping"] = client.ping()
client.create_database("py1")
told["databases"] = [database["name"] for database in client.get_list_database()]
told["policies"] = [policy["name"] for policy in client.get_list_retention_policies("py1")]
point = {"measurement": "cpu_load", "tags": {"host": "json"}, "time": seconds * 10**9, "fields": {"value": 1.5}}
client.write_points([point])
client.write_points([f"cpu_load,host=s value=1.5 {seconds}"], time_precision="s", protocol="line")
try:
    lines = [f"cpu_load,host=kept value=1.5 {seconds}", "cpu_load,host=old value=1 5"]
    client.write_points(lines, time_precision="s", protocol="line")
except InfluxDBClientError as error:
    told["error"] = {"code": error.code, "text": str(error.content)}
try:
    client.query("SELECT value FROM cpu_load")
except InfluxDBClientError as error:
    told["select"] = str(error)
try:
    InfluxDBClient("127.0.0.1", port, "anybody", "wrong", "py1").create_database("py1")
except InfluxDBClientError as error:
    told["wrong password"] = error.code
print(json.dumps(told))

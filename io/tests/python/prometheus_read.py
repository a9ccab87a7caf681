"""Reads with a client library of Prometheus; prints what it found, as JSON.

Usage: prometheus_read.py URL AUTHORIZATION SECONDS, the time of the first sample
"""

import json
import sys
from datetime import datetime, timezone

from prometheus_api_client import PrometheusApiClientException, PrometheusConnect

url, authorization, base = sys.argv[1], sys.argv[2], int(sys.argv[3])
client = PrometheusConnect(url=url, headers={"Authorization": authorization})


def time(seconds):
    return datetime.fromtimestamp(base + seconds, timezone.utc)


told = {
    "metrics": client.all_metrics(),
    "labels": client.get_label_names(),
    "hosts": client.get_label_values("host"),
}
found = client.get_metric_range_data(
    "cpu_load", label_config={"host": "h"}, start_time=time(-30), end_time=time(570)
)
told["range"] = [value for part in found for value in part["values"]]
found = client.custom_query_range("avg_over_time(cpu_load[2m])", start_time=time(60), end_time=time(180), step="120")
told["steps"] = found[0]["values"]
told["sum"] = client.custom_query("sum(cpu_load)", params={"time": base + 540})[0]["value"][1]
try:
    client.custom_query("nonsense(")
    told["error"] = "none"
except PrometheusApiClientException as error:
    told["error"] = type(error).__name__
print(json.dumps(told))

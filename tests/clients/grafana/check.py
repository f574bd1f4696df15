"""Reads a dashboard by the schema of Grafana, as its own library for Python has it, and says what of it the schema does
not know, or reads as something else: a line for each place. Argument: the file."""

import json
import sys

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard


def compare(place, written, known):
    if isinstance(written, dict) and isinstance(known, dict):
        for key, value in written.items():
            if key in known:
                compare(f"{place}/{key}", value, known[key])
            else:
                print(f"{place}/{key}: not known")
    elif isinstance(written, list) and isinstance(known, list) and len(written) == len(known):
        for index, (value, other) in enumerate(zip(written, known)):
            compare(f"{place}/{index}", value, other)
    elif written != known:
        print(f"{place}: {written!r} is read as {known!r}")


register_default_plugins()
with open(sys.argv[1], encoding="utf-8") as file:
    dashboard = json.load(file)
compare("", dashboard, json.loads(JSONEncoder(sort_keys=True).encode(Dashboard.from_json(dashboard))))

"""Rows of the spec ads-history as numbers: counts of the history for LightGBM, and values for a logistic regression."""

import json
from pathlib import Path

import numpy

root = Path(__file__).parents[2]
specs = root / "src/tools/train/specs"
manifest = json.loads((root / "models/ads-history/1/manifest.json").read_text())
fields = {field["name"]: field for field in manifest["features"]}
categorical = ["country", "segment", "device", "campaign"]
codes = {name: {value: i for i, value in enumerate(fields[name]["values"])} for name in categorical}
tags = fields["tags"]["values"]
buckets = 64


def counts(row):
    """The values of a row as numbers: how often and how recently the user clicked on anything, on this, and on what."""
    clicked = row["history"]
    hours = row["history_age"]
    same = [age for campaign, age in zip(clicked, hours) if campaign == row["campaign"]]
    decayed = numpy.zeros(buckets)
    for campaign, age in zip(clicked, hours):
        decayed[int(campaign[1:]) % buckets] += 2 ** (-age / 240)
    return [
        *(codes[name].get(row[name], numpy.nan) for name in categorical),
        row["hour"],
        row["price"],
        len(clicked),
        hours[-1] if hours else numpy.nan,
        sum(2 ** (-age / 240) for age in hours),
        len(same),
        same[-1] if same else numpy.nan,
        *(tag in row["tags"] for tag in tags),
        *row["image"],
        *decayed,
    ]


def values(row):
    """Each value of a row, with the cross of segment and campaign, as numbers by name."""
    named = {f"{name}={row[name]}": 1.0 for name in [*categorical, "hour"]}
    named[f"{row['segment']}×{row['campaign']}"] = 1.0
    named |= {f"tag={tag}": 1.0 for tag in row["tags"]}
    named |= {f"clicked={campaign}": 1.0 for campaign in row["history"]}
    named |= {f"image={i}": number for i, number in enumerate(row["image"])}
    named["price"] = float(numpy.log1p(row["price"]))
    named["clicks"] = float(numpy.log1p(len(row["history"])))
    return named


def rows_of(path):
    with open(path) as lines:
        yield from map(json.loads, lines)

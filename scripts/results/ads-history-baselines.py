"""
LightGBM on the rows of the spec ads-history, for models/README.md: what boosted trees make of counts, without a network
that learns what campaigns have in common. The training part trains, the validation part stops the boosting, and the
rows of a second file test. Not tuned. Prints JSON, with the entropies of the true probabilities.

  python3 -m venv venv && venv/bin/pip install lightgbm==4.7.0 scikit-learn==1.9.1 numpy==2.4.6 pyyaml==6.0.4
  node scripts/write-rows.mjs ads-history --rows 800000 > rows.jsonl
  node scripts/write-rows.mjs fresh.yaml > fresh.jsonl
  venv/bin/python scripts/results/ads-history-baselines.py rows.jsonl fresh.jsonl
"""

import json
import sys

import lightgbm
import numpy
import yaml
from history_counts import categorical, counts, rows_of, specs
from sklearn.metrics import roc_auc_score

split = yaml.safe_load((specs / "ads-history.yaml").read_text())["split"]


def read(path):
    matrix, labels, truth = [], [], []
    for row in rows_of(path):
        matrix.append(numpy.array(counts(row), numpy.float32))
        labels.append((row["click"], row["conversion"]))
        truth.append((row["p_click"], row["p_conversion"]))
    return numpy.stack(matrix), numpy.array(labels), numpy.array(truth)


def measures(labels, predictions):
    rate = labels.mean()
    loss = -numpy.where(labels > 0, numpy.log(predictions), numpy.log1p(-predictions)).mean()
    base = -(rate * numpy.log(rate) + (1 - rate) * numpy.log1p(-rate))
    return {"auc": roc_auc_score(labels, predictions), "normalised_entropy": loss / base, "log_loss": loss}


matrix, labels, _ = read(sys.argv[1])
count = round(len(matrix) * split["train"] / (split["train"] + split["validation"]))
test, test_labels, truth = read(sys.argv[2])
result = {"rows": [count, len(matrix) - count, len(test)], "lightgbm": lightgbm.__version__}
for i, task in enumerate(["ctr", "cvr"]):
    asked, asked_test = (part[:, 0] > 0 if task == "cvr" else numpy.ones(len(part), bool) for part in (labels, test_labels))
    first = numpy.arange(len(matrix)) < count
    parts = [
        lightgbm.Dataset(matrix[rows], labels[rows, i], categorical_feature=list(range(len(categorical))))
        for rows in (asked & first, asked & ~first)
    ]
    options = {"objective": "binary", "verbose": -1, "num_threads": 2, "seed": 1, "learning_rate": 0.05}
    stop = lightgbm.early_stopping(50, verbose=False)
    model = lightgbm.train(options, parts[0], 2000, valid_sets=[parts[1]], callbacks=[stop])
    known = test_labels[asked_test, i]
    result[task] = {
        "true probabilities": measures(known, truth[asked_test, i]),
        "boosted trees": measures(known, model.predict(test[asked_test])),
        "trees": model.best_iteration,
    }
print(json.dumps(result, indent=1))

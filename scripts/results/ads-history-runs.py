"""
LightGBM on counts of the history, logistic regression with a crossed field, and the true probabilities, on the rows of
the spec ads-history-din, for docs/results.md. The training part trains, the validation part stops the boosting, and the
test part tests. Neither is tuned. Writes JSON as `npm run results` reads it.

  python3 -m venv venv && venv/bin/pip install lightgbm==4.7.0 scikit-learn==1.9.1 numpy==2.4.6 pyyaml==6.0.4
  node scripts/write-rows.mjs ads-history-din --parts > rows.jsonl
  venv/bin/python scripts/results/ads-history-runs.py rows.jsonl > docs/results/ads-history-baselines.json
"""

import json
import sys

import lightgbm
import numpy
from history_counts import categorical, counts, rows_of, values
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

seeds = range(1, 6)
part = "test rows of the spec"
tasks = {"ctr": ("click", "p_click"), "cvr": ("conversion", "p_conversion")}
trees = {
    **{"objective": "binary", "verbose": -1, "num_threads": 1, "learning_rate": 0.05, "min_data_in_leaf": 100},
    **{"feature_fraction": 0.8, "bagging_fraction": 0.8, "bagging_freq": 1},
}

path = sys.argv[1]
parts, clicks, labels, truth, matrix = [], [], {task: [] for task in tasks}, {task: [] for task in tasks}, []
for row in rows_of(path):
    parts.append(row["part"])
    clicks.append(row["click"])
    matrix.append(numpy.array(counts(row), numpy.float32))
    for task, (label, probability) in tasks.items():
        labels[task].append(row[label])
        truth[task].append(row[probability])
parts, clicks, matrix = numpy.array(parts), numpy.array(clicks), numpy.stack(matrix)
labels, truth = ({task: numpy.array(numbers) for task, numbers in of.items()} for of in (labels, truth))


def rows_in(task, part):
    """Of `cvr`, the clicked ones."""
    return (parts == part) & (clicks > 0 if task == "cvr" else True)


def boosted(task, seed):
    train, validation = (
        lightgbm.Dataset(matrix[rows], labels[task][rows], categorical_feature=list(range(len(categorical))))
        for rows in (rows_in(task, "train"), rows_in(task, "validation"))
    )
    stop = lightgbm.early_stopping(50, verbose=False)
    model = lightgbm.train({**trees, "seed": seed}, train, 2000, valid_sets=[validation], callbacks=[stop])
    return model.predict(matrix[rows_in(task, "test")])


def logistic(task):
    train, test = (
        (values(row) for row, wanted in zip(rows_of(path), rows_in(task, part)) if wanted) for part in ("train", "test")
    )
    encoder = DictVectorizer(dtype=numpy.float32)
    model = LogisticRegression(C=0.5, max_iter=300)
    model.fit(encoder.fit_transform(train), labels[task][rows_in(task, "train")])
    return model.predict_proba(encoder.transform(test))[:, 1]


def run(variant, predict, seed=None):
    judged = {}
    for task in tasks:
        test = rows_in(task, "test")
        auc = roc_auc_score(labels[task][test], predict(task))
        judged[task] = {"rows": int(test.sum()), "auc": {"value": auc}}
    return {"part": part, "variant": variant, **({} if seed is None else {"seed": seed}), "tasks": judged}


runs = [
    run("logistic", logistic),
    *(run("trees_on_counts", lambda task: boosted(task, seed), seed) for seed in seeds),
    run("true_probabilities", lambda task: truth[task][rows_in(task, "test")]),
]
print(json.dumps({"lightgbm": lightgbm.__version__, "runs": runs}, indent=1))

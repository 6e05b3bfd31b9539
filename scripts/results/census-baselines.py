"""
LightGBM and logistic regression on the rows of the spec census-income, for docs/results.md. The training half trains:
for LightGBM four fifths of it, drawn by five seeds, while the others stop the boosting. The whole official test half
tests. Neither is tuned. Prints JSON.

  python3 -m venv venv && venv/bin/pip install lightgbm scikit-learn pandas
  venv/bin/python scripts/results/census-baselines.py data/census-income.data.gz data/census-income.test.gz
"""

import json
import re
import sys
from pathlib import Path

import lightgbm
import numpy
import pandas
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

seeds = range(1, 6)
spec = (Path(__file__).parents[2] / "src/tools/train/specs/census-income.yaml").read_text()
columns = re.findall(r"\w+", re.search(r"columns:\s*\[(.*?)\]", spec, re.S)[1])
numeric = re.findall(r"name: (\w+), kind: numeric", spec)
categorical = re.findall(r"name: (\w+), kind: vocabulary", spec)
logarithmic = ["wage_per_hour", "capital_gains", "capital_losses", "stock_dividends"]
fields = numeric + categorical


def read(path):
    rows = pandas.read_csv(path, header=None, names=columns, skipinitialspace=True, dtype=str, keep_default_na=False)
    rows = rows.apply(lambda cells: cells.str.strip())
    rows[numeric] = rows[numeric].astype(float)
    return rows


train, test = (read(path) for path in sys.argv[1:3])
labels = {
    "income_50k": lambda rows: (rows.income_50k == "50000+.").to_numpy(int),
    "never_married": lambda rows: (rows.marital_stat == "Never married").to_numpy(int),
}


def keys(rows):
    """Rows as strings, of all fields and both labels."""
    parts = [rows[field].astype(str) for field in fields]
    parts += [pandas.Series(label(rows)).astype(str) for label in labels.values()]
    return pandas.Series(["\t".join(cells) for cells in zip(*parts)])


repeated = keys(test).isin(set(keys(train))).to_numpy()


def judge(task, predictions):
    truth = labels[task](test)
    return {
        "auc": roc_auc_score(truth, predictions),
        "auc_without_repeated": roc_auc_score(truth[~repeated], predictions[~repeated]),
    }


def boosted(task, seed):
    order = numpy.random.default_rng(seed).permutation(len(train))
    cut = len(train) * 4 // 5
    categories = {field: pandas.CategoricalDtype(sorted(set(train[field]))) for field in categorical}
    rows = train[fields].astype(categories)
    parts = [lightgbm.Dataset(rows.iloc[part], labels[task](train)[part]) for part in (order[:cut], order[cut:])]
    options = {"objective": "binary", "verbose": -1, "num_threads": 1, "seed": seed}
    stop = lightgbm.early_stopping(50, verbose=False)
    model = lightgbm.train(options, parts[0], 2000, valid_sets=[parts[1]], callbacks=[stop])
    return model.predict(test[fields].astype(categories), num_iteration=model.best_iteration)


def logistic(task):
    scaled = make_pipeline(FunctionTransformer(numpy.log1p), StandardScaler())
    plain = [field for field in numeric if field not in logarithmic]
    encoded = make_column_transformer(
        (scaled, logarithmic), (StandardScaler(), plain), (OneHotEncoder(handle_unknown="ignore"), categorical)
    )
    model = make_pipeline(encoded, LogisticRegression(max_iter=2000))
    model.fit(train[fields], labels[task](train))
    return model.predict_proba(test[fields])[:, 1]


print(
    json.dumps(
        {
            "test_rows": len(test),
            "repeated": int(repeated.sum()),
            "lightgbm": {task: [judge(task, boosted(task, seed)) for seed in seeds] for task in labels},
            "logistic": {task: judge(task, logistic(task)) for task in labels},
            "versions": {"lightgbm": lightgbm.__version__, "numpy": numpy.__version__},
        },
        indent=1,
    )
)

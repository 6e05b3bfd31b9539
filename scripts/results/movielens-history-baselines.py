"""
LightGBM on the rows of the specs movielens and movielens-by-user, for docs/results.md: with the film alone (`trees`),
and with counts of what the user has rated before too (`trees_on_counts`). The training part trains, the validation part
stops the boosting, and the test part tests, as it does for the networks. Writes JSON as `npm run results` reads it.

  python3 -m venv venv && venv/bin/pip install lightgbm==4.7.0 scikit-learn==1.9.1 numpy==2.4.6
  node scripts/write-rows.mjs movielens --parts > by-time.jsonl
  node scripts/write-rows.mjs movielens-by-user --parts > by-user.jsonl
  venv/bin/python scripts/results/movielens-history-baselines.py by-time.jsonl by-user.jsonl \\
    > docs/results/movielens-history-baselines.json
"""

import json
import sys
from itertools import groupby

import lightgbm
import numpy
from sklearn.metrics import roc_auc_score

seeds = range(1, 6)
tasks = {"liked": 4.0, "loved": 4.5}
options = {
    **{"objective": "binary", "verbose": -1, "num_threads": 1, "learning_rate": 0.05, "num_leaves": 31},
    **{"min_data_in_leaf": 100, "feature_fraction": 0.8, "bagging_fraction": 0.8, "bagging_freq": 1},
}


class Ratings:
    """Earlier ratings, of a user or of a film, and per genre."""

    def __init__(self, genres):
        self.number, self.sum, self.liked = 0, 0.0, 0
        self.by_genre = numpy.zeros((2, genres))

    def add(self, rating, genres):
        liked = rating >= tasks["liked"]
        self.number += 1
        self.sum += rating
        self.liked += liked
        self.by_genre[0] += genres
        if liked:
            self.by_genre[1] += genres

    def means(self):
        """How many there are, their mean and the share of liked ones."""
        if self.number == 0:
            return [0, numpy.nan, numpy.nan]
        return [self.number, self.sum / self.number, self.liked / self.number]

    def overlap(self, genres):
        """For the genres of a film: how often they were rated, how often liked, and the share of that."""
        rated, liked = (float(counts @ genres) for counts in self.by_genre)
        return [rated, liked, liked / rated if rated else numpy.nan]


def read(path):
    with open(path) as lines:
        rows = [json.loads(line) for line in lines]
    names = sorted({genre for row in rows for genre in row["genres"].split("|")})
    for row in rows:
        own = row["genres"].split("|")
        row["genre_flags"] = numpy.array([name in own for name in names], float)
        row["rating"] = float(row["rating"])
        row["timestamp"] = float(row["timestamp"])
    return rows, len(names)


def features(rows, genres):
    """Per row its film, the earlier ratings of the film, and those of the user; rows of one time don't see each other."""
    films, users = {}, {}
    matrix = [None] * len(rows)
    order = sorted(range(len(rows)), key=lambda i: rows[i]["timestamp"])
    for _, group in groupby(order, key=lambda i: rows[i]["timestamp"]):
        group = list(group)
        for i in group:
            row = rows[i]
            film = films.setdefault(row["movie_id"], Ratings(genres))
            user = users.setdefault(row["user_id"], Ratings(genres))
            own = row["genre_flags"]
            year = float(row["year"]) if row["year"] else numpy.nan
            plain = [float(row["movie_id"]), year, *own, *film.means()]
            matrix[i] = [*plain, *user.means(), *user.overlap(own), *user.by_genre.ravel()]
        for i in group:
            row = rows[i]
            for ratings in (films[row["movie_id"]], users[row["user_id"]]):
                ratings.add(row["rating"], row["genre_flags"])
    return numpy.array(matrix, numpy.float32), len(plain)


def boosted(matrix, labels, parts, seed):
    train, validation = (
        lightgbm.Dataset(matrix[parts == part], labels[parts == part]) for part in ("train", "validation")
    )
    stop = lightgbm.early_stopping(50, verbose=False)
    model = lightgbm.train({**options, "seed": seed}, train, 2000, valid_sets=[validation], callbacks=[stop])
    return model.predict(matrix[parts == "test"]), model.best_score["valid_0"]


runs = []
for part, path in zip(["by time", "by user"], sys.argv[1:3]):
    rows, genres = read(path)
    matrix, plain = features(rows, genres)
    parts = numpy.array([row["part"] for row in rows])
    ratings = numpy.array([row["rating"] for row in rows])
    for seed in seeds:
        for variant, columns in {"trees": plain, "trees_on_counts": matrix.shape[1]}.items():
            judged = {}
            for task, least in tasks.items():
                labels = (ratings >= least).astype(int)
                predictions, _ = boosted(matrix[:, :columns], labels, parts, seed)
                truth = labels[parts == "test"]
                judged[task] = {"rows": len(truth), "auc": {"value": roc_auc_score(truth, predictions)}}
            runs.append({"part": part, "variant": variant, "seed": seed, "tasks": judged})
print(json.dumps({"lightgbm": lightgbm.__version__, "runs": runs}, indent=1))

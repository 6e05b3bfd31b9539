"""
Trains the network of the model ads-history in PyTorch, and exports it as ONNX. models/README.md has all commands.

  python3 -m venv venv && venv/bin/pip install -r scripts/train-ads-history.txt
  node scripts/write-rows.mjs ads-history --rows 800000 | venv/bin/python scripts/train-ads-history.py ads-history.onnx

Rows come from standard input: the training part of the spec trains, the validation part is judged after each epoch,
and the best epoch is exported. Beside it, ads-history.json has the answers to a few rows, for `multigate init
--golden`. The same rows, machine and number of threads give the same weights.
"""

import argparse
import copy
import json
import sys
import time
from collections import deque
from pathlib import Path

import numpy as np
import onnx
import torch
import yaml
from torch import nn

SPECS = Path(__file__).parents[1] / "src/tools/train/specs"
SPEC = yaml.safe_load((SPECS / "ads-history.yaml").read_text())
FEATURES = yaml.safe_load((SPECS / "features/ads-history.yaml").read_text())["features"]
FIELDS = {field["name"]: field for field in FEATURES}
GOLDEN = 16  # rows with answers
HALF_LIVES = [0.7, 3.0, 10.0, 40.0]  # days; where the half-lives begin, which are learnt


def owner(field):
    """The field whose table a field reads."""
    return FIELDS[field["table"]] if field["kind"] == "shared" else field


def ids(field):
    """Ids of a field's values. 0 is padding, and what is unknown."""
    known = owner(field)
    values = known["values"] if known["kind"] == "vocabulary" else range(known["size"])
    return {value: i + 1 for i, value in enumerate(values)}


def encode(lines, count):
    """Inputs of the network per field, as a service with these fields encodes them; labels [rows, 2]; the last rows."""
    known = {name: ids(field) for name, field in FIELDS.items() if field["kind"] not in ("numeric", "vector")}
    columns = {}
    for name, field in FIELDS.items():
        width = field["list"]["max"] if "list" in field else field.get("length", 1)
        columns[name] = np.zeros((count, width), np.int16 if name in known else np.float32)
    labels, last = np.zeros((count, 2), np.float32), deque(maxlen=GOLDEN)
    read = 0
    for row, line in zip(range(count), lines, strict=False):
        read = row + 1
        values = json.loads(line)
        labels[row] = values["click"], values["conversion"]
        last.append({name: values[name] for name in FIELDS})
        for name, field in FIELDS.items():
            value = values[name]
            if value is None:
                value = field["missing"]["default"]
            if not isinstance(value, list):
                value = [value]
            elif "list" in field:
                most = field["list"]["max"]
                value = value[-most:] if field["list"].get("keep") == "last" else value[:most]
            columns[name][row, : len(value)] = [known[name].get(one, 0) for one in value] if name in known else value
    if read < count:
        raise SystemExit(f"standard input has {read} rows, not {count}")
    columns["price"] = np.log1p(columns["price"])
    for name in known:
        if "list" not in FIELDS[name]:
            columns[name] = columns[name][:, 0]
    return [torch.from_numpy(column) for column in columns.values()], torch.from_numpy(labels), list(last)


class Attention(nn.Module):
    """How much a user has clicked of what is like the candidate, and how long ago: similarity × recency.

    As in DIN (Zhou et al., KDD 2018) no softmax divides the weights, so that their sum says how much there was. Each of
    `kinds` similarities is a sigmoid of a bilinear form, and each recency decays with a half-life of its own.
    """

    def __init__(self, dim, kinds=4):
        super().__init__()
        self.kinds = kinds
        self.query = nn.Linear(dim, kinds * dim, bias=False)
        self.bias = nn.Parameter(torch.full((kinds, 1), -1.0))
        self.log_rates = nn.Parameter((np.log(2) / torch.tensor(HALF_LIVES)).log())
        with torch.no_grad():
            self.query.weight.copy_(torch.cat([torch.eye(dim) * scale for scale in torch.linspace(1, 3, kinds)]))

    def forward(self, candidate, clicked, days, mask):
        recency = torch.exp(-self.log_rates.exp() * days.unsqueeze(-1)) * mask.unsqueeze(-1)  # [rows, clicks, rates]
        query = self.query(candidate).unflatten(-1, (self.kinds, -1))  # [rows, kinds, dim]
        similarity = torch.sigmoid(query @ clicked.transpose(1, 2) + self.bias)  # [rows, kinds, clicks]
        alike = torch.log1p(2 * (similarity @ recency)).flatten(1)  # [rows, kinds · rates]
        pooled = 0.2 * (recency.transpose(1, 2) @ clicked).flatten(1)  # [rows, rates · dim]
        return alike, torch.cat([pooled, torch.log1p(recency.sum(1))], -1)


class Network(nn.Module):
    """Multi-gate mixture of experts (Ma et al., KDD 2018) with a linear part, on fields and what Attention finds."""

    def __init__(self, dim=16, small=8, cross=16, experts=4, width=32, tower=24, dropout=0.1, tasks=2):
        super().__init__()
        rates, numbers = len(HALF_LIVES), FIELDS["image"]["length"] + 1
        table = {name: len(ids(field)) + 1 for name, field in FIELDS.items() if "values" in field or "size" in field}
        self.tables = nn.ModuleDict(
            {name: nn.Embedding(size, dim if name == "campaign" else small) for name, size in table.items()}
        )
        for name, own in self.tables.items():
            nn.init.normal_(own.weight, std=0.3 if name == "campaign" else 0.05)
        self.attention = Attention(dim)
        context = 4 * small + rates * (dim + 1)
        candidate = dim + small + numbers
        inputs = context + candidate + self.attention.kinds * rates + cross
        # Their product is what a user and an ad have in common.
        self.user = nn.Linear(context, cross)
        self.ad = nn.Linear(candidate, cross)
        self.normalise = nn.BatchNorm1d(inputs)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(inputs, width), nn.ReLU(), nn.Dropout(dropout)) for _ in range(experts)
        )
        self.gates = nn.ModuleList(nn.Linear(inputs, experts) for _ in range(tasks))
        self.towers = nn.ModuleList(
            nn.Sequential(nn.Linear(width, tower), nn.ReLU(), nn.Linear(tower, 1)) for _ in range(tasks)
        )
        self.wide = nn.Linear(inputs, tasks)

    def forward(self, country, segment, device, hour, history, history_age, campaign, tags, image, price):
        read = self.tables
        mask = (history != 0).float()
        item, clicked = read["campaign"](campaign), read["campaign"](history)
        alike, viewed = self.attention(item, clicked, history_age / 24, mask)
        labels = (read["tags"](tags) * (tags != 0).float().unsqueeze(-1)).sum(1)
        user = [read["country"](country), read["segment"](segment), read["device"](device), read["hour"](hour), viewed]
        user, ad = torch.cat(user, -1), torch.cat([item, labels, image, price], -1)
        x = self.normalise(torch.cat([user, ad, alike, self.user(user) * self.ad(ad)], -1))
        experts = torch.stack([expert(x) for expert in self.experts], 1)
        mixed = [(gate(x).softmax(-1).unsqueeze(1) @ experts).squeeze(1) for gate in self.gates]
        return self.wide(x) + torch.cat([tower(part) for tower, part in zip(self.towers, mixed, strict=True)], -1)


def entropy(logits, labels):
    return nn.functional.binary_cross_entropy_with_logits(logits, labels)


def losses(logits, labels):
    """Cross-entropies of a click, over all rows, and of a conversion, over clicks."""
    clicked = labels[:, 0] > 0
    return entropy(logits[:, 0], labels[:, 0]), entropy(logits[clicked, 1], labels[clicked, 1])


def judge(network, inputs, labels):
    """Normalised entropy of each task."""
    network.eval()
    with torch.no_grad():
        parts = zip(*(column.split(5000) for column in inputs), strict=True)
        logits = torch.cat([network(*wide(part)) for part in parts]).double()
    network.train()
    found = losses(logits, labels.double())
    plain = losses(rates(labels).logit().expand(len(labels), 2), labels.double())
    return [(loss / base).item() for loss, base in zip(found, plain, strict=True)]


def rates(labels):
    return torch.stack([labels[:, 0].mean(), labels[labels[:, 0] > 0, 1].mean()]).double()


def wide(columns):
    """Ids are kept in 16 bits, and read as 64."""
    return [column.long() if column.dtype == torch.int16 else column for column in columns]


def forget(columns, share=0.01):
    """Makes a share of the values of single ids unknown, so that the network learns what to answer then."""
    for i, column in enumerate(columns):
        if column.dtype == torch.int64 and column.dim() == 1:
            columns[i] = column * (torch.rand(len(column)) >= share)
    return columns


def train(network, inputs, labels, *, epochs, batch_size, conversion_weight, penalty):
    split = SPEC["split"]
    count = round(len(labels) * split["train"] / (split["train"] + split["validation"]))
    with torch.no_grad():
        network.wide.bias.copy_(rates(labels[:count]).logit())
    tables = list(network.tables.parameters())
    others = [weight for name, weight in network.named_parameters() if not name.startswith("tables.")]
    adam = torch.optim.AdamW([{"params": tables, "weight_decay": 0}, {"params": others, "weight_decay": 0.1}], 0.003)
    steps = count // batch_size
    schedule = torch.optim.lr_scheduler.OneCycleLR(adam, 0.003, total_steps=epochs * steps, pct_start=0.1)
    validation = [column[count:] for column in inputs], labels[count:]
    best, kept = float("inf"), None
    for epoch in range(epochs):
        began, total = time.monotonic(), 0.0
        order = torch.randperm(count)[: steps * batch_size]
        for step, rows in enumerate(order.split(batch_size)):
            columns = forget(wide([column[rows] for column in inputs]))
            click, conversion = losses(network(*columns), labels[rows])
            loss = click + conversion_weight * conversion + penalty * sum(table.square().sum() for table in tables)
            adam.zero_grad()
            loss.backward()
            adam.step()
            schedule.step()
            total += loss.item()
            if step % 100 == 99:
                print(f"epoch {epoch + 1}, step {step + 1} of {steps}: loss {total / (step + 1):.4f}", flush=True)
        click, conversion = judge(network, *validation)
        seconds = time.monotonic() - began
        print(f"epoch {epoch + 1}: NE of ctr {click:.4f}, of cvr {conversion:.4f}; {seconds:.0f} s", flush=True)
        if click + conversion < best:
            best, kept = click + conversion, copy.deepcopy(network.state_dict())
    network.load_state_dict(kept)


def export(network, inputs, rows, file):
    network.eval()
    with torch.no_grad():
        answers = network(*wide([column[-len(rows) :] for column in inputs])).sigmoid().tolist()
    # The first row is the service's example: one with a short history.
    order = sorted(range(len(rows)), key=lambda i: (not rows[i]["history"], len(rows[i]["history"])))
    golden = {"rows": [rows[i] for i in order], "probabilities": [answers[i] for i in order]}
    Path(file).with_suffix(".json").write_text(json.dumps(golden))
    batch = torch.export.Dim("batch")
    example = tuple(wide([column[:3] for column in inputs]))
    options = {"input_names": list(FIELDS), "output_names": ["logits"], "external_data": False}
    torch.onnx.export(network, example, file, dynamo=True, dynamic_shapes=tuple({0: batch} for _ in FIELDS), **options)
    # Metadata are stack traces, which name files of the machine.
    proto = onnx.load(file)
    graph = proto.graph
    for place in (proto, graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        del place.metadata_props[:]
    del graph.value_info[:]
    onnx.save(proto, file)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Train the network of ads-history on rows of standard input.")
    parser.add_argument("out", help="the ONNX file to write")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.manual_seed(given.seed)
    torch.set_num_threads(given.threads)
    share = SPEC["split"]["train"] + SPEC["split"]["validation"]
    inputs, labels, last = encode(sys.stdin, round(SPEC["data"]["rows"] * share))
    print(f"{len(labels)} rows read", flush=True)
    network = Network()
    train(network, inputs, labels, epochs=given.epochs, batch_size=2048, conversion_weight=0.05, penalty=0.0001)
    export(network, inputs, last, given.out)

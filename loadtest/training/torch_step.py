"""Takes training steps in PyTorch, on one thread, and prints rows per second, and per second of processor time.

    python torch_step.py '{"sparseFields": 12, …}' <batch> <seconds>
"""

import json
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

torch.set_num_threads(1)
ROWS = 32768
network, batch, seconds = json.loads(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
HISTORY, PADDING = network.get("history"), network["ids"] - 1


def mlp(width, hidden, output):
    parts = []
    for size in hidden:
        parts += [nn.Linear(width, size), nn.BatchNorm1d(size), nn.ReLU()]
        width = size
    return nn.Sequential(*parts, nn.Linear(width, output))


def attention(width):
    for size in HISTORY["dims"]:
        yield from (nn.Linear(width, size), nn.ReLU())
        width = size
    yield nn.Linear(width, 1)


class Mmoe(nn.Module):
    def __init__(self):
        super().__init__()
        dim, numbers, *inner, output = network["dim"], network["denseFields"], *network["expert"]
        width = (network["sparseFields"] + numbers + (1 if HISTORY else 0)) * dim
        if HISTORY:
            self.unit = nn.Sequential(*attention(4 * dim))
        self.table = nn.Embedding(network["ids"], dim, sparse=True)
        self.dense = nn.Linear(numbers, numbers * dim, bias=False)
        self.experts = nn.ModuleList(mlp(width, inner, output) for _ in range(network["experts"]))
        self.gates = nn.ModuleList(nn.Linear(width, network["experts"], bias=False) for _ in network["tasks"])
        self.towers = nn.ModuleList(mlp(output, [network["tower"]], 1) for _ in network["tasks"])

    def forward(self, sparse, dense):
        fields = network["sparseFields"]
        parts = [self.table(sparse[:, :fields]).flatten(1), self.dense(dense)]
        if HISTORY:
            parts.append(self.attend(self.table(sparse[:, :1]), sparse[:, fields:]))
        x = torch.cat(parts, 1)
        experts = torch.stack([expert(x) for expert in self.experts], 1)
        mixed = [torch.bmm(gate(x).softmax(1).unsqueeze(1), experts).squeeze(1) for gate in self.gates]
        return torch.cat([tower(y) for tower, y in zip(self.towers, mixed)], 1)

    def attend(self, item, ids):
        items = self.table(ids)
        asked = item.expand_as(items)
        scores = self.unit(torch.cat([items, asked, items - asked, items * asked], 2)).squeeze(2)
        return torch.bmm((scores * (ids != PADDING)).unsqueeze(1), items).squeeze(1)


model = Mmoe()
rest = [value for name, value in model.named_parameters() if not name.startswith("table.")]
optimisers = [torch.optim.Adam(rest, 1e-3, foreach=True), torch.optim.SparseAdam(model.table.parameters(), 1e-3)]
sparse = torch.randint(network["ids"] - bool(HISTORY), [ROWS, network["sparseFields"]])
if HISTORY:
    longest = HISTORY["max"]
    viewed = torch.randint(PADDING, [ROWS, longest])
    viewed[torch.arange(longest) >= torch.randint(longest + 1, [ROWS, 1])] = PADDING
    sparse = torch.cat([sparse, viewed], 1)
dense = torch.randn(ROWS, network["denseFields"])
labels = torch.randint(2, [ROWS, len(network["tasks"])]).float()


def epoch():
    for start in range(0, ROWS, batch):
        rows = slice(start, start + batch)
        loss = F.binary_cross_entropy_with_logits(model(sparse[rows], dense[rows]), labels[rows], reduction="none")
        for optimiser in optimisers:
            optimiser.zero_grad(set_to_none=True)
        loss.mean(0).sum().backward()
        for optimiser in optimisers:
            optimiser.step()


epoch()
begun, used, epochs = time.perf_counter(), time.process_time(), 0
while epochs == 0 or time.perf_counter() - begun < seconds:
    epoch()
    epochs += 1
wall, used = time.perf_counter() - begun, time.process_time() - used
print(epochs * ROWS / wall, epochs * ROWS / used)

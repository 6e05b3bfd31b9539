"""Takes training steps in Keras' graph mode, on one thread, and prints rows per second, and per second of processor time.

    python keras_step.py '{"sparseFields": 12, …}' <batch> <seconds>
"""

import json
import sys
import time

import numpy as np
import tensorflow as tf

tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)
layers = tf.keras.layers
ROWS = 32768
network, batch, seconds = json.loads(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
HISTORY, PADDING = network.get("history"), network["ids"] - 1


def hidden(x, width):
    return layers.ReLU()(layers.BatchNormalization()(layers.Dense(width)(x)))


def attend(item, items, ids):
    asked = tf.broadcast_to(item, tf.shape(items))
    y = tf.concat([items, asked, items - asked, items * asked], 2)
    for width in HISTORY["dims"]:
        y = layers.Dense(width, activation="relu")(y)
    scores = layers.Dense(1)(y) * tf.cast(ids != PADDING, tf.float32)[:, :, None]
    return tf.reduce_sum(scores * items, 1)


def build():
    dim, fields, numbers = network["dim"], network["sparseFields"], network["denseFields"]
    longest = HISTORY["max"] if HISTORY else 0
    sparse = layers.Input([fields + longest], dtype="int32")
    dense = layers.Input([numbers])
    table = layers.Embedding(network["ids"], dim)
    parts = [layers.Flatten()(table(sparse[:, :fields])), layers.Dense(numbers * dim, use_bias=False)(dense)]
    if HISTORY:
        parts.append(attend(table(sparse[:, :1]), table(sparse[:, fields:]), sparse[:, fields:]))
    x = layers.Concatenate()(parts)

    def expert():
        y = x
        for width in network["expert"][:-1]:
            y = hidden(y, width)
        return layers.Dense(network["expert"][-1])(y)

    experts = tf.stack([expert() for _ in range(network["experts"])], axis=1)
    logits = []
    for _ in network["tasks"]:
        gate = layers.Dense(network["experts"], use_bias=False, activation="softmax")(x)
        mixed = layers.Dot([1, 1])([gate, experts])
        logits.append(layers.Dense(1)(hidden(mixed, network["tower"])))
    return tf.keras.Model([sparse, dense], layers.Concatenate()(logits))


model = build()
optimiser = tf.keras.optimizers.Adam(1e-3)


@tf.function
def step(sparse, dense, labels):
    with tf.GradientTape() as tape:
        logits = model([sparse, dense], training=True)
        each = tf.nn.sigmoid_cross_entropy_with_logits(labels, logits)
        loss = tf.reduce_sum(tf.reduce_mean(each, axis=0))
    variables = model.trainable_variables
    optimiser.apply_gradients(zip(tape.gradient(loss, variables), variables))
    return loss


random = np.random.default_rng(1)
sparse = random.integers(0, network["ids"] - bool(HISTORY), [ROWS, network["sparseFields"]], dtype=np.int32)
if HISTORY:
    longest = HISTORY["max"]
    viewed = random.integers(0, PADDING, [ROWS, longest], dtype=np.int32)
    viewed[np.arange(longest) >= random.integers(0, longest + 1, [ROWS, 1])] = PADDING
    sparse = np.concatenate([sparse, viewed], 1)
dense = random.normal(size=[ROWS, network["denseFields"]]).astype(np.float32)
labels = random.integers(0, 2, [ROWS, len(network["tasks"])]).astype(np.float32)


def epoch():
    for start in range(0, ROWS, batch):
        rows = slice(start, start + batch)
        step(tf.constant(sparse[rows]), tf.constant(dense[rows]), tf.constant(labels[rows]))


epoch()
begun, used, epochs = time.perf_counter(), time.process_time(), 0
while epochs == 0 or time.perf_counter() - begun < seconds:
    epoch()
    epochs += 1
wall, used = time.perf_counter() - begun, time.process_time() - used
print(epochs * ROWS / wall, epochs * ROWS / used)

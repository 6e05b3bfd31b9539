import { isDeepStrictEqual } from 'node:util'
import type { Tensor, Variable } from '@tensorflow/tfjs-core'
import t from 'tap'
import type { TSchema } from 'typebox'
import { ModelError } from '../../../../src/base/errors.ts'
import { prepareTensorFlow } from '../../../../src/model/engines/tensorflow/tensorflow-backend.ts'
import { buildArchitecture, graphOutputs } from '../../../../src/model/graph/architectures/build.ts'
import type { ModelShape } from '../../../../src/model/graph/architectures/layers.ts'
import { LayersBuilder } from '../../../../src/model/graph/architectures/layers-builder.ts'
import {
  architectureOf,
  BuiltInArchitecture,
  findArchitecture,
} from '../../../../src/model/graph/architectures/table.ts'
import type { ArchitectureOptions } from '../../../../src/schemas/architecture.ts'
import { openBuilt } from '../../../support/layers-model.ts'

const tensorflow = await prepareTensorFlow()
const { tf, layers, backend } = tensorflow
t.comment(`TensorFlow.js backend: ${backend}`)

/** Options by name; those not named here keep their defaults. */
const chosen: Record<string, number> = {
  dim_emb: 4,
  embedding_l2: 1e-4,
  num_experts: 3,
  num_experts_task: 2,
  num_experts_shared: 1,
  dropout_expert: 0.1,
  dim_hidden_shared: 8,
  dim_hidden_expert: 8,
  dim_hidden_tower: 8,
  dim_hidden_tasks: 6,
  dim_hidden_head: 6,
}
const architectures = BuiltInArchitecture.anyOf.map(({ properties, required }) => {
  const { name, ...options } = properties as Record<string, TSchema>
  const values = Object.entries(options)
    .filter(([option]) => (required as string[]).includes(option))
    .map(([option, schema]) => [option, chosen[option] ?? (schema as { default?: unknown }).default])
  return { name: (name as { const?: unknown }).const, ...Object.fromEntries(values) } as ArchitectureOptions
})
/** As TensorFlow.js, the reference, opens the files. */
const open = (options: ArchitectureOptions, shape: ModelShape) =>
  openBuilt(tensorflow, buildArchitecture(options, shape))
const sides: ModelShape['sides'] = { sparse: ['context', 'candidate', 'context'], dense: ['candidate', 'cross'] }
const shape: ModelShape = { sparseFields: 3, denseFields: 2, ids: 50, sides, tasks: ['ctr', 'cvr'], seed: 7 }

// By hand: flat is (3 + 2)·4 = 20 wide; an MLP's hidden layer has in·out + out (Dense) + 2·out (BatchNorm, trainable)
// and 2·out moving statistics.
const embeddingWeights = 50 * 4 + 2 * 2 * 4
const wide = (input: number, hidden: number, output: number) =>
  input * hidden + 3 * hidden + hidden * output + output + 2 * hidden
const expected: Partial<Record<string, number>> = {
  shared_bottom: embeddingWeights + wide(20, 8, 8) + 2 * wide(8, 6, 1),
  mixture_of_experts: embeddingWeights + 3 * wide(20, 8, 8) + 20 * 3 + 2 * wide(8, 6, 1),
  multi_gate: embeddingWeights + 3 * wide(20, 8, 8) + 2 * 20 * 3 + 2 * wide(8, 6, 1),
  aitm: embeddingWeights + 2 * wide(20, 8, 8) + (8 * 8 + 8) + 3 * 8 * 8 + 2 * wide(8, 6, 1),
  ple:
    embeddingWeights + (5 * wide(20, 8, 8) + 2 * 20 * 3 + 20 * 5) + (5 * wide(8, 8, 8) + 2 * 8 * 3) + 2 * wide(8, 6, 1),
  esmm: embeddingWeights + 2 * wide(20, 6, 1),
  single_task: 2 * embeddingWeights + 2 * wide(20, 6, 1),
}

interface Case {
  what: string
  options: ArchitectureOptions
  parameters: number | undefined
  /** Weights of a gate. */
  gates?: number
}
const base = (name: string) => architectures.find((options) => options.name === name)!
const variant = (what: string, name: string, changes: object, parameters: number, gates = 3) => ({
  ...{ what, parameters, gates },
  options: { ...base(name), ...changes } as ArchitectureOptions,
})
const towers = 2 * wide(8, 6, 1)
const cases: Case[] = [
  ...architectures.map((options) => ({ what: options.name, options, parameters: expected[options.name] })),
  variant(
    'multi_gate with experts of a single ReLU layer, as in the paper',
    'multi_gate',
    { dims_expert: [16], output_expert: 'hidden', normalisation: 'none', dims_tasks: [] },
    embeddingWeights + 3 * (20 * 16 + 16) + 2 * 20 * 3 + 2 * (16 + 1),
  ),
  // The context has two sparse fields, the candidate one of each kind, with a dense embedding of its own.
  variant(
    'multi_gate with experts of one side alone',
    'multi_gate',
    {
      ...{ num_experts: 0, num_experts_context: 2, num_experts_candidate: 1, gate_temperature: 2 },
      ...{ dims_expert: [7, 5], dims_tasks: { ctr: [4], cvr: [] } },
    },
    embeddingWeights + 4 + 3 * wide(8, 7, 5) + 2 * 20 * 3 + wide(5, 4, 1) + (5 + 1),
  ),
  variant(
    'mixture_of_experts with experts of one side',
    'mixture_of_experts',
    { num_experts: 1, num_experts_context: 1, num_experts_candidate: 1, gate_temperature: 0.5 },
    embeddingWeights + 4 + wide(20, 8, 8) + 2 * wide(8, 8, 8) + 20 * 3 + towers,
  ),
  variant(
    'shared_bottom with widths of its own',
    'shared_bottom',
    { dims_shared: [9, 7], output_shared: 'hidden', dims_tasks: [4, 3] },
    embeddingWeights + (20 * 9 + 5 * 9 + 9 * 7 + 5 * 7) + 2 * (7 * 4 + 5 * 4 + 4 * 3 + 5 * 3 + 3 + 1),
  ),
  variant(
    'aitm as published',
    'aitm',
    { form: 'published', dims_tower: [7, 5], dims_head: [3] },
    embeddingWeights + 2 * wide(20, 7, 5) + (5 * 5 + 5) + 3 * 5 * 5 + 2 * wide(5, 3, 1),
  ),
  variant(
    'ple of one level with an expert of the context',
    'ple',
    { num_levels: 1, num_experts_context: 1 },
    embeddingWeights + 5 * wide(20, 8, 8) + wide(8, 8, 8) + 2 * 20 * 4 + towers,
    4,
  ),
]

function exampleInputs(rows: number): Tensor[] {
  const ids = Int32Array.from({ length: rows * 3 }, (_, i) => (i * 7) % 50)
  const values = Float32Array.from({ length: rows * 2 }, (_, i) => Math.sin(i))
  return [tf.tensor2d(ids, [rows, 3], 'int32'), tf.tensor2d(values, [rows, 2])]
}

for (const { what, options, parameters, gates: width = 3 } of cases) {
  t.test(what, async (t) => {
    if (parameters !== undefined)
      t.test('has the parameters of its definition', async (t) => {
        t.equal((await open(options, shape)).countParams(), parameters)
      })

    t.test('answers with probabilities, logits and gates of the right shapes', async (t) => {
      const model = await open(options, shape)
      const { gates = {}, ...outputs } = graphOutputs(options, shape.tasks)
      const names = [outputs.probabilities, outputs.logits, ...new Set(Object.values(gates))]
      const inner = layers.model({
        inputs: model.inputs,
        outputs: names.map((name) => model.getLayer(name).output as (typeof model.outputs)[0]),
      })
      const [probabilities, logits, ...weights] = inner.predict(exampleInputs(5)) as Tensor[]
      t.same(probabilities!.shape, [5, 2])
      t.same(logits!.shape, [5, 2])
      for (const gate of weights) {
        t.same(gate.shape, [5, width])
        for (const sum of tf.sum(gate, 1).dataSync()) t.ok(Math.abs(sum - 1) < 1e-6)
      }
      const difference = tf.max(tf.abs(tf.sub(tf.sigmoid(logits!), probabilities!))).dataSync()[0]!
      t.ok(difference < 1e-7)
    })

    t.test('has a finite gradient through every trainable weight', async (t) => {
      const model = await open(options, shape)
      const variables = model.trainableWeights.map((weight) => weight.read() as Variable)
      const { grads } = tf.variableGrads(() => {
        const out = model.apply(exampleInputs(6), { training: true }) as Tensor
        return tf.sum(tf.mul(out, tf.tensor2d([[1, -0.5]])))
      }, variables)
      t.equal(Object.keys(grads).length, variables.length)
      let withoutSignal = 0
      for (const [i, variable] of variables.entries()) {
        const gradient = grads[variable.name]!
        t.same(gradient.shape, variable.shape)
        const values = gradient.dataSync()
        t.ok(values.every(Number.isFinite), model.trainableWeights[i]!.originalName)
        if (values.every((value) => value === 0)) withoutSignal++
      }
      t.equal(withoutSignal, 0, 'no weight is cut off')
    })

    if (options.normalisation !== 'none')
      t.test('moves its running means in training alone', async (t) => {
        const model = await open(options, shape)
        const mean = model.weights.find((weight) => weight.originalName.endsWith('moving_mean'))!
        model.predict(exampleInputs(6))
        t.ok(
          mean
            .read()
            .dataSync()
            .every((value) => value === 0),
        )
        model.apply(exampleInputs(6), { training: true })
        t.ok(
          mean
            .read()
            .dataSync()
            .some((value) => value !== 0),
        )
      })

    t.test('starts from the seed alone, every layer from a draw of its own', async (t) => {
      const kernels = (seed: number) =>
        [...buildArchitecture(options, { ...shape, seed }).weights.values()].map(({ data }) => [
          ...new Float32Array(data.slice().buffer),
        ])
      const [first, second, other] = [kernels(0), kernels(0), kernels(1)]
      t.same(first, second)
      t.notOk(isDeepStrictEqual(first, other))
      const drawn = first.filter((values) => new Set(values).size > 2).map((values) => values[0])
      t.equal(new Set(drawn).size, drawn.length)
    })

    t.test('starts around the logits that are given', async (t) => {
      const weights = (startLogits?: number[]) => [
        ...buildArchitecture(options, { ...shape, startLogits }).weights.entries(),
      ]
      const biases = weights([-3, 0.5]).flatMap(([name, { data }], i) => {
        const values = [...new Float32Array(data.slice().buffer)]
        const zero = [...new Float32Array(weights()[i]![1].data.slice().buffer)]
        return isDeepStrictEqual(values, zero) ? [] : [{ task: /ctr|cvr/.exec(name)![0], values }]
      })
      t.same(biases, [
        { task: 'ctr', values: [-3] },
        { task: 'cvr', values: [0.5] },
      ])
    })

    t.test('describes its layers as TensorFlow.js does', async (t) => {
      const { topology } = buildArchitecture(options, shape)
      type Layer = { name: string; class_name: string; config: object }
      const sorted = (layers: unknown) => (layers as Layer[]).toSorted((a, b) => (a.name < b.name ? -1 : 1))
      const described = topology.config as Record<string, unknown>
      const model = await open(options, shape)
      const again = (model.toJSON(undefined, false) as { config: typeof described }).config
      // Having opened a file, TensorFlow.js repeats the type of an embedding.
      const layers = sorted(described.layers).map((layer) =>
        layer.class_name === 'Embedding' ? { ...layer, config: { ...layer.config, dtype: 'float32' } } : layer,
      )
      t.same({ ...described, layers }, { ...again, layers: sorted(again.layers) })
    })

    if (architectures.includes(options))
      t.test('one more task or expert leaves the initial weights of others', async (t) => {
        const few = buildArchitecture({ ...options, num_experts: 2 } as ArchitectureOptions, {
          ...shape,
          tasks: ['ctr'],
        })
        const many = buildArchitecture(options, { ...shape, tasks: ['ctr', 'cvr', 'pay'] })
        const names = [...few.weights.keys()].filter((name) => !/gate/.test(name))
        t.ok(names.length > 4)
        for (const name of names) t.same(few.weights.get(name)!.data, many.weights.get(name)!.data, name)
      })

    if (architectures.includes(options))
      t.test('works with one task, one expert, one layer, one field and either kind of field', async (t) => {
        const smallest = {
          ...options,
          ...Object.fromEntries(Object.keys(options).flatMap((name) => (name.startsWith('num_') ? [[name, 1]] : []))),
        } as ArchitectureOptions
        const [ids, values] = exampleInputs(4)
        for (const [fields, inputs] of [
          [{ sparseFields: 1, denseFields: 0 }, [tf.slice(ids!, [0, 0], [4, 1])]],
          [{ sparseFields: 0, denseFields: 1 }, [tf.slice(values!, [0, 0], [4, 1])]],
          [{ sparseFields: 3, denseFields: 2 }, [ids, values]],
        ] as [{ sparseFields: number; denseFields: number }, Tensor[]][]) {
          const model = await open(smallest, { ...shape, ...fields, tasks: ['ctr'] })
          t.same((model.predict(inputs) as Tensor).shape, [4, 1])
          t.same(model.inputNames, [
            ...(fields.sparseFields > 0 ? ['sparse'] : []),
            ...(fields.denseFields > 0 ? ['dense'] : []),
          ])
          for (const { name, dtype } of model.inputs) t.equal(dtype, name.startsWith('sparse') ? 'int32' : 'float32')
          t.ok(model.getLayer('logits'))
        }
      })

    t.test('refuses to be built without fields', async (t) => {
      t.throws(
        () => buildArchitecture(options, { ...shape, sparseFields: 0, denseFields: 0 }),
        new ModelError('INVALID_BUNDLE', 'a model needs at least one field'),
      )
    })
  })
}

t.test('a logit that is a sum starts around a value by the bias of its last part', async (t) => {
  const builder = new LayersBuilder(1)
  const x = builder.input('dense', 2, 'float32')
  const sum = builder.add('sum', [builder.dense('wide', x, 1), builder.dense('deep', x, 1)])
  builder.startBias(sum, -2)
  const { weights } = builder.model('sum', [x], sum)
  t.same(
    ['wide/bias', 'deep/bias'].map((name) => new Float32Array(weights.get(name)!.data.slice().buffer)[0]),
    [0, -2],
  )
})

t.test('refuses options that contradict themselves, the tasks or the sides', async (t) => {
  const multiGate = base('multi_gate')
  const none = { sparse: ['cross', 'cross', 'cross'], dense: ['cross', 'cross'] } satisfies ModelShape['sides']
  const abuses: [object, string, Partial<ModelShape>?][] = [
    [{ num_experts: 0 }, 'num_experts must be at least 1 without num_experts_context and num_experts_candidate'],
    [
      { num_experts_context: 1 },
      'num_experts_context needs a field of the side context, and there is none',
      { sides: none },
    ],
    [{ dims_tasks: { ctr: [4] } }, 'dims_tasks lacks the task "cvr"'],
    [
      { dims_tasks: { ctr: [4], cvr: [], ctrr: [] } },
      'dims_tasks/ctrr is not one of the tasks: ctr, cvr; did you mean ctr?',
    ],
  ]
  for (const [changes, message, other] of abuses)
    t.throws(
      () => buildArchitecture({ ...multiGate, ...changes } as ArchitectureOptions, { ...shape, ...other }),
      new ModelError('INVALID_BUNDLE', `multi_gate: ${message}`),
    )
})

t.test('the drawing of an architecture leads from the embeddings to the tasks', async (t) => {
  const tasks = ['click', 'cart', 'buy']
  for (const options of architectures) {
    const { title, about, diagram, ownEmbeddings } = architectureOf(options.name)
    const known = new Set(ownEmbeddings ? tasks.map((task) => `embedding ${task}`) : ['embedding'])
    const boxes = diagram(options, tasks).flatMap((column) => column.boxes)
    const unread = new Set<string>()
    for (const { id, reads } of boxes) {
      t.ok(reads.length > 0 && reads.every((part) => known.has(part)), `${options.name}: ${id} reads ${reads}`)
      t.notOk(known.has(id), `${options.name}: one ${id}`)
      known.add(id)
      unread.add(id)
      for (const part of reads) unread.delete(part)
    }
    t.same([...unread].sort(), tasks.map((task) => `task ${task}`).sort(), `${options.name}: the tasks alone end it`)
    t.ok(title.length > 3 && about.endsWith('.'))
  }
  t.equal(findArchitecture('toString'), undefined)
})

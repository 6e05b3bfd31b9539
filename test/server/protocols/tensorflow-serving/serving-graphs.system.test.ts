import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Graph } from '../../../../src/model/graph/ir/graph.ts'
import { declare, floatShape } from '../../../../src/model/graph/ir/tensor-shape.ts'
import { temporaryFolder } from '../../../support/bundle.ts'
import { emptyGraph } from '../../../support/empty-graph.ts'
import { errorOf } from '../../../support/infer-body.ts'
import { perFeatureGraph } from '../../../support/per-feature.ts'
import { startTestServer } from '../../../support/server.ts'
import { serving } from '../../../support/serving-body.ts'

/* Graphs by their own inputs and outputs, in the shapes that TensorFlow Serving's documentation shows. */

/** y = x / 2 + 3, as the documentation's example; x [batch, …dims]. */
function halfPlusThree(...dims: number[]): Graph {
  const graph = emptyGraph()
  graph.inputs.push(declare('x', floatShape(-1, ...dims)))
  const half = graph.node('Mul', ['x', graph.constant('half', Float32Array.of(0.5), [1])])
  graph.node('Add', [half, graph.constant('three', Float32Array.of(3), [1])], { outputs: ['y'] })
  graph.outputs.push(declare('y', floatShape(-1, ...dims)))
  return graph
}

async function serve(t: Test, graphs: Record<string, Uint8Array>) {
  const models = await temporaryFolder(t)
  for (const [name, bytes] of Object.entries(graphs)) {
    await mkdir(join(models, name, '1'), { recursive: true })
    await writeFile(join(models, name, '1/model.onnx'), bytes)
  }
  const server = await startTestServer(t, { models, registry: { mode: 'all' } })
  const ask = (name: string, body: unknown) => serving(server.fastify, `${name}:predict`, body)
  const answer = async (name: string, body: unknown) => JSON.parse((await ask(name, body)).text)
  return { ...server, ask, answer }
}

t.test('of one input and one output values stand bare', async (t) => {
  const { ask, answer } = await serve(t, {
    scalar: halfPlusThree().toBytes(),
    single: halfPlusThree(1).toBytes(),
    pair: halfPlusThree(2).toBytes(),
    square: halfPlusThree(2, 2).toBytes(),
  })
  t.same(await answer('scalar', { instances: [1.0, 2.0, 5.0] }), { predictions: [3.5, 4.0, 5.5] })
  t.same(await answer('scalar', { inputs: [1.0, 2.0, 5.0] }), { outputs: [3.5, 4.0, 5.5] })
  t.same(await answer('scalar', { instances: [{ x: 1.0 }, { x: 5.0 }] }), { predictions: [3.5, 5.5] })
  t.same(await answer('scalar', { inputs: { x: [1.0, 5.0] } }), { outputs: [3.5, 5.5] })
  t.same(await answer('scalar', { signature_name: 'serving_default', instances: [1] }), { predictions: [3.5] })
  t.same(await answer('single', { instances: [[1], [2]] }), { predictions: [[3.5], [4]] })
  t.same(
    await answer('pair', {
      instances: [
        [1, 2],
        [3, 4],
      ],
    }),
    {
      predictions: [
        [3.5, 4],
        [4.5, 5],
      ],
    },
  )
  t.same(await answer('pair', { inputs: [[1, 2]] }), { outputs: [[3.5, 4]] })
  t.same(
    await answer('square', {
      instances: [
        [
          [1, 2],
          [3, 4],
        ],
      ],
    }),
    {
      predictions: [
        [
          [3.5, 4],
          [4.5, 5],
        ],
      ],
    },
  )
  t.same(
    await answer('square', {
      inputs: {
        x: [
          [
            [1, 2],
            [3, 4],
          ],
        ],
      },
    }),
    {
      outputs: [
        [
          [3.5, 4],
          [4.5, 5],
        ],
      ],
    },
  )
  t.same(await answer('scalar', { instances: [-6, -8e3] }), { predictions: [0, -3997] })

  for (const [name, body, message] of [
    ['scalar', { instances: [1, 'x'] }, '/instances/1 must be a number, not a string'],
    ['scalar', { instances: [1, { b64: 'eA==' }] }, '/instances/1 must be a number, not an object'],
    ['scalar', { instances: [{ x: 1 }, 2] }, '/instances/1 must be an object with x, not a number'],
    ['scalar', { instances: [{ x: 1 }, {}] }, '/instances/1/x is required: a number'],
    ['scalar', { inputs: 1 }, '/inputs must be an array of at least one row, not a number'],
    ['scalar', { inputs: [] }, '/inputs must be an array of at least one row, not an empty one'],
    ['scalar', { inputs: [1, 1e39] }, '/inputs/1 is too large for float32'],
    ['scalar', { instances: [1e39] }, '/instances/0 is too large for float32'],
    ['pair', { instances: [[1, 2], [3]] }, '/instances/1 has 1 values, not 2'],
    [
      'square',
      {
        instances: [
          [
            [1, 2],
            [3, 'x'],
          ],
        ],
      },
      '/instances/0/1/1 must be a number, not a string',
    ],
    [
      'square',
      {
        inputs: {
          x: [
            [
              [1, 2],
              [3, null],
            ],
          ],
        },
      },
      '/inputs/x/0/1/1 must be a number, not null',
    ],
    ['scalar', { context: {}, instances: [1] }, '/context is not possible: the model has no named features'],
    [
      'scalar',
      { signature_name: 'features', instances: [1] },
      `/signature_name is "features", which this model doesn't have: it has serving_default`,
    ],
  ] as const)
    t.equal(errorOf(t, await ask(name, body), 400), message)
})

const shop = [
  {
    country: 0,
    hour: [23],
    price: 0.5,
    sizes: [
      [1, 2],
      [3, 4],
    ],
  },
  {
    country: 4,
    hour: [0],
    price: -1,
    sizes: [
      [0.1, 0.2],
      [0.3, 0.4],
    ],
  },
]
const shopColumns = Object.fromEntries(
  (['country', 'hour', 'price', 'sizes'] as const).map((name) => [name, shop.map((row) => row[name])]),
)

t.test('several inputs and outputs stand below their names', async (t) => {
  const { ask, answer, predict } = await serve(t, { shop: perFeatureGraph().toBytes() })
  const expected = (await predict({ model: 'shop', inputs: shopColumns })).body.predictions
  t.same(await answer('shop', { instances: shop }), {
    predictions: expected.map(({ click, buy }: any) => ({ click: [click], buy })),
  })
  t.same(await answer('shop', { inputs: shopColumns }), {
    outputs: { click: expected.map(({ click }: any) => [click]), buy: expected.map(({ buy }: any) => buy) },
  })
  for (const [body, message] of [
    [{ instances: [shop[0], { ...shop[1], sizes: [[1, 2], [3]] }] }, '/instances/1/sizes/1 has 1 values, not 2'],
    [
      { instances: [shop[0], { ...shop[1], country: 5 }] },
      '/instances/1/country is not an id of country: must be from 0 to 4',
    ],
    [{ instances: [1, 2] }, '/instances/0 must be an object with country, hour, price, sizes, not a number'],
    [{ inputs: [1, 2] }, '/inputs must be an object with country, hour, price, sizes, not an array'],
  ] as const)
    t.equal(errorOf(t, await ask('shop', body), 400), message)
})

t.test('bodies with very many names are refused immediately', async (t) => {
  const { ask } = await serve(t, { shop: perFeatureGraph().toBytes() })
  const junk = Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [`junk-${i}`, 0]))
  for (const body of [{ instances: [{ ...shop[0], ...junk }] }, { inputs: { ...shopColumns, ...junk } }])
    t.match(errorOf(t, await ask('shop', body), 400), /junk-0 is no input of this model.* \(and 97 more\)$/)
})

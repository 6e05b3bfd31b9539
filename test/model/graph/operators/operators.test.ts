import t from 'tap'
import { onnxruntime as ort } from '../../../../src/base/onnxruntime.ts'
import { createProgram, translateGraph } from '../../../../src/model/engines/small/small-graph.ts'
import { floatShape } from '../../../../src/model/graph/ir/tensor-shape.ts'
import { binary } from '../../../../src/model/graph/operators/binary.ts'
import { type Facet, type Operator, present } from '../../../../src/model/graph/operators/operator.ts'
import { operatorOf, operators } from '../../../../src/model/graph/operators/table.ts'
import { unary } from '../../../../src/model/graph/operators/unary.ts'
import { Tables } from '../../../../src/model/graph/rows/tables.ts'
import { Translation } from '../../../../src/model/graph/rows/translation.ts'
import { answersOf, answerWith, emptyGraph } from '../../../support/compile/run-graph.ts'

/* Gradients are tested in gradients/, columns in sides/, what becomes of TensorFlow's operators in lower/. */

/** Besides ordinary numbers, those at which functions are not what they are between. */
const values = [-30, -2.5, -1, -0.75, -0.0625, 0, 0.0625, 0.5, 1, 1.5, 2.75, 30]
const width = values.length

const withSteps = (table: Record<string, Operator>) =>
  Object.entries(table).flatMap(([name, { rows }]) => (present(rows) === undefined || name === 'Cast' ? [] : [name]))

/** Computes a node of x, or of x and y, in steps over a row, and in ONNX Runtime. */
async function bothAnswers(opType: string, inputs: readonly string[]) {
  const graph = emptyGraph(Object.fromEntries(inputs.map((name) => [name, floatShape(-1, width)])))
  const output = graph.node(opType, [...inputs])
  answerWith(graph, output)
  const given = inputs.map((_, i) => Float32Array.from(i === 0 ? values : values.toReversed()))
  const feeds = Object.fromEntries(inputs.map((name, i) => [name, new ort.Tensor('float32', given[i]!, [1, width])]))
  const [answers] = await answersOf(graph, [feeds])
  const program = createProgram()
  const translation = new Translation({ graph, program, tables: new Tables() })
  const parts = inputs.map((name) => {
    const tensor = translation.result('rows', [width], 'float32')
    translation.set(name, tensor)
    return tensor.parts[0]!
  })
  const { part } = translateGraph(translation, output)
  const { at, floats } = program.open(1)
  for (const [i, { buffer }] of parts.entries()) floats.set(given[i]!, at[buffer]! / 4)
  program.run({ rows: 1, requests: 1, starts: Int32Array.of(0, 1), feeds: [] })
  const first = at[part.buffer]! / 4 + part.offset
  return { computed: floats.slice(first, first + width), expected: answers![output]!.values }
}

for (const [table, inputs] of [
  [unary, ['x']],
  [binary, ['x', 'y']],
] as const)
  for (const name of withSteps(table))
    t.test(`${name} in steps over rows is what ONNX Runtime computes`, async (t) => {
      const { computed, expected } = await bothAnswers(name, inputs)
      computed.forEach((value, i) => {
        const wanted = expected[i]!
        const near = Object.is(value, wanted) || Math.abs(value - wanted) <= 1e-6 * Math.max(1, Math.abs(wanted))
        if (!near && !(Number.isNaN(value) && Number.isNaN(wanted)))
          t.fail(`${name}(${values[i]}) is ${value}, not ${wanted}`)
      })
      t.equal(computed.length, width)
    })

t.test('a facet is there, or says why not', async (t) => {
  for (const [name, { columns, gradient, rows, tensorflow }] of operators)
    for (const facet of [columns, gradient, rows, tensorflow] as Facet<unknown>[])
      t.ok(present(facet) !== undefined || /^\S.{10,}\S$/.test((facet as { absent: string }).absent), name)
})

t.test('an operator of TensorFlow, and an activation of Keras, is one of ONNX', async (t) => {
  const names = [...operators.values()].flatMap(({ tensorflow }) => present(tensorflow)?.names ?? [])
  const activations = [...operators.values()].flatMap(({ keras }) => keras ?? [])
  t.equal(new Set(names).size, names.length)
  t.equal(new Set(activations).size, activations.length)
  t.ok(activations.length >= 7)
})

t.test('operators of other domains are not taken for those of ONNX', async (t) => {
  t.ok(operatorOf({ domain: '', opType: 'Tanh' }))
  t.equal(operatorOf({ domain: 'com.microsoft', opType: 'Tanh' }), undefined)
})

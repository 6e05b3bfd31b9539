import t from 'tap'
import { optimise } from '../../../../src/model/graph/compile/optimise.ts'
import { equalise, hiddenLayers } from '../../../../src/model/graph/int8/equalise.ts'
import { calibrate } from '../../../../src/model/graph/int8/observe-ranges.ts'
import { floatShape } from '../../../../src/model/graph/ir/tensor-shape.ts'
import { uncut } from '../../../../src/model/graph/sides/cut-regions.ts'
import { fc, randomCases } from '../../../support/cases.ts'
import { Dice } from '../../../support/compile/dice.ts'
import { buildModel, distance, randomModel, rowsOf, savedAnswers } from '../../../support/compile/random-model.ts'
import { answerWith, emptyGraph, reread } from '../../../support/compile/run-graph.ts'

t.test('outputs stay the same, and hidden values come close to 255', async () => {
  await fc.assert(
    fc.asyncProperty(randomModel, async (model) => {
      const graph = reread(buildModel(model))
      await optimise(graph)
      const rows = rowsOf(model, 60, 3)
      const expected = await savedAnswers(graph, rows)
      const { maxima } = await calibrate(uncut(graph, {}), rows)
      const hidden = equalise(graph, maxima)
      const apart = distance(expected, await savedAnswers(graph, rows))
      if (!(apart <= 1e-5)) throw new Error(`${apart} apart`)
      const after = await calibrate(uncut(graph, {}), rows)
      for (const name of hidden) {
        const largest = [...after.maxima.get(name)!]
        // A quarter more than what was seen fits.
        if (largest.some((value) => value > 204.01)) throw new Error(`${name}: ${largest}`)
        const mean = maxima.get(name)!.reduce((sum, value) => sum + value, 0) / largest.length
        maxima.get(name)!.forEach((value, i) => {
          if (value >= mean && mean > 0 && !(largest[i]! > 203.9)) throw new Error(`${name}[${i}]: ${largest[i]}`)
        })
      }
    }),
    { numRuns: randomCases(40) },
  )
})

t.test('a ReLU is hidden where products alone read it', async (t) => {
  const dice = new Dice(1)
  const graph = emptyGraph({ x: floatShape(-1, 4) })
  const gemm = (x: string) =>
    graph.node('Gemm', [x, graph.constant('w', dice.floats(16), [4, 4]), graph.constant('b', dice.floats(4), [4])], {
      shape: floatShape(-1, 4),
    })
  const relu = (x: string, output?: string) =>
    graph.node('Relu', [x], { shape: floatShape(-1, 4), ...(output ? { outputs: [output] } : {}) })
  const hidden = relu(gemm('x'))
  const parts = graph.nodeOf('Split', [relu(gemm(hidden)), graph.integers([2, 2])], 2, {
    attributes: { axis: 1 },
    shapes: [floatShape(-1, 2), floatShape(-1, 2)],
  })
  const narrow = graph.constant('n', dice.floats(8), [2, 4])
  const [left, right] = parts.map((part) => graph.node('Gemm', [part, narrow], { shape: floatShape(-1, 4) }))
  relu(left!, 'answer')
  const summed = relu(right!)
  graph.node('Add', [summed, gemm(summed)], { outputs: ['sum'] })
  const twice = gemm('x')
  graph.node('Add', [relu(twice), twice], { outputs: ['both'] })
  answerWith(graph, 'answer', 'sum', 'both')
  graph.tidy()
  t.same(
    hiddenLayers(graph)
      .map(({ output }) => output[0])
      .sort(),
    [hidden, graph.producer(parts[0]!)!.input[0]].sort(),
  )

  // Those without maxima stay as they are.
  t.same([...equalise(graph, new Map([[hidden, Float32Array.of(1, 2, 3, 4)]]))], [hidden])
})

t.test('a unit that was never positive gets a share of the range of the others', async (t) => {
  const graph = emptyGraph({ x: floatShape(-1, 2) })
  const weights = graph.constant('w', Float32Array.of(1, -1, 1, -1), [2, 2])
  const hidden = graph.node('Relu', [graph.node('Gemm', ['x', weights], { shape: floatShape(-1, 2) })], {
    shape: floatShape(-1, 2),
  })
  const last = graph.constant('v', Float32Array.of(1, 1), [2, 1])
  graph.node('Gemm', [hidden, last], { outputs: ['answer'], shape: floatShape(-1, 1) })
  answerWith(graph, 'answer')
  equalise(graph, new Map([[hidden, Float32Array.of(2, 0)]]))
  const scaled = graph.floats(graph.producer(graph.producer(hidden)!.input[0]!)!.input[1]!)!
  t.ok(distance(scaled, [255 / 2.5, -255 / (0.05 * 1.25), 255 / 2.5, -255 / (0.05 * 1.25)]) < 1e-2, `${scaled}`)
  // Where none was, none of them is scaled beyond reason.
  const fresh = equalise(graph, new Map([[hidden, Float32Array.of(0, 0)]]))
  t.equal(fresh.size, 1)
  t.ok(graph.floats(graph.producer(graph.producer(hidden)!.input[0]!)!.input[1]!)!.every(Number.isFinite))
})

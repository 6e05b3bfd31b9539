import t from 'tap'
import { multiplicationsOf } from '../../../../src/model/graph/compile/optimise.ts'
import type { Graph } from '../../../../src/model/graph/ir/graph.ts'
import { floatShape } from '../../../../src/model/graph/ir/tensor-shape.ts'
import { canonicalise } from '../../../../src/model/graph/passes/canonicalise.ts'
import { foldNormalisation } from '../../../../src/model/graph/passes/fold-normalisation.ts'
import { mixExperts } from '../../../../src/model/graph/passes/mix-experts.ts'
import { Dice } from '../../../support/compile/dice.ts'
import { applied, assertLaw, breachOf, prepared } from '../../../support/compile/law.ts'
import { type Columns, randomGraph } from '../../../support/compile/random-graph.ts'
import { answerWith, emptyGraph, operatorsOf } from '../../../support/compile/run-graph.ts'
import { Writer } from '../../../support/compile/writer.ts'

const earlier = [canonicalise, foldNormalisation]
const mix = (graph: Graph) => {
  mixExperts(graph, new Map())
  canonicalise(graph, new Map())
}
const count = (graph: Graph, opType: string) => graph.nodes.filter((node) => node.opType === opType).length

interface Mmoe {
  graph: Graph
  write: Writer
  x: Columns
  experts: Columns[]
  gates: Columns[]
}

/** Experts that end in a linear layer or a ReLU, [batch, 4] each, and gates; nothing is mixed yet. */
function mmoe(seed: number, { experts = 3, tasks = 2, linear = true } = {}): Mmoe {
  const dice = new Dice(seed)
  const graph = emptyGraph({ x: floatShape(-1, 5) })
  const write = new Writer(graph, dice)
  const x = { name: 'x', n: 5 }
  return {
    graph,
    write,
    x,
    experts: Array.from({ length: experts }, () => write.mlp(x, [6, 4], { linear })),
    gates: Array.from({ length: tasks }, () => write.softmax(write.dense(x, experts))),
  }
}

const relu = (graph: Graph, { name }: Columns) => graph.node('Relu', [name])

t.test('changes no answer, whatever the graph', () => assertLaw(randomGraph, mix, { earlier }))

const { mixingWays } = new Writer(emptyGraph({}), new Dice(1))
for (const way of mixingWays)
  t.test(`knows mixtures that are written as ${way}, all tasks' in one product`, async (t) => {
    for (let seed = 0; seed < 6; seed++) {
      const { graph, write, experts, gates } = mmoe(seed, { linear: false })
      const mixed = gates.map((gate) => write.mix(experts, gate, way))
      answerWith(graph, ...mixed.map((input) => relu(graph, input)))
      const canonical = await prepared(graph, earlier)
      const breach = await breachOf(canonical, (g) => t.same(applied(g, mixExperts), { changes: 2, reasons: [] }), seed)
      t.equal(breach, undefined)
      t.equal(count(canonical, 'MatMul'), 1)
      t.equal(count(canonical, 'Softmax'), 1)
      t.equal(count(canonical, 'ReduceSum'), 0)
    }
  })

t.test("knows a task's row of all tasks' mixtures", async (t) => {
  for (const einsum of [true, false]) {
    const { graph, experts, gates } = mmoe(1, { tasks: 3 })
    const stack = (parts: Columns[]) =>
      graph.node(
        'Concat',
        parts.map(({ name }) => graph.node('Unsqueeze', [name, graph.integers([1])])),
        { attributes: { axis: 1 } },
      )
    const product = einsum
      ? graph.node('Einsum', [stack(experts), stack(gates)], { attributes: { equation: 'beh,bte->bth' } })
      : graph.node('MatMul', [stack(gates), stack(experts)])
    const row = (t: number) =>
      graph.node('Gather', [product, graph.constant('task', BigInt64Array.of(BigInt(t)), [])], {
        attributes: { axis: 1 },
      })
    answerWith(graph, ...[0, 1, -1].map((t) => graph.node('Relu', [row(t)])))
    const canonical = await prepared(graph, earlier)
    t.equal(await breachOf(canonical, (g) => t.equal(applied(g, mixExperts).changes, 3), 1), undefined)
    t.equal(count(canonical, 'MatMul'), 1)
    t.equal(count(canonical, 'Gather'), 0)
  }
})

t.test("leads towers' first layers through the mixture, where that takes fewer multiplications", async (t) => {
  const { graph, write, experts, gates } = mmoe(1)
  const towers = gates.map((gate) => write.dense(write.mix(experts, gate, 'row'), 2))
  answerWith(graph, ...towers.map((tower) => relu(graph, tower)))
  const canonical = await prepared(graph, earlier)
  const before = multiplicationsOf(canonical)
  t.equal(await breachOf(canonical, mix, 1), undefined)
  // Three experts' last layers are 6×4 still, and two towers' 4×2 have gone.
  t.equal(multiplicationsOf(canonical), before - 2 * 4 * 2)
  t.equal(count(canonical, 'Gemm'), 3 + 3 + 1)
})

/** Graphs that keep towers apart from the mixture, and so their products: [write, Gemms that are left]. */
const apart: Record<string, [(parts: Mmoe) => string[], number]> = {
  'where towers are wide': [
    ({ graph, write, experts, gates }) =>
      gates.map((gate) => relu(graph, write.dense(write.mix(experts, gate, 'row'), 9))),
    9,
  ],
  'where experts are activated last': [
    ({ graph, write, experts, gates }) => {
      const active = experts.map((expert) => ({ name: relu(graph, expert), n: 4 }))
      return gates.map((gate) => relu(graph, write.dense(write.mix(active, gate, 'row'), 2)))
    },
    9,
  ],
  "where gates don't add up to 1": [
    ({ graph, write, x, experts }) => {
      const gates = [0, 1].map(() => ({ name: graph.node('Sigmoid', [write.dense(x, 3).name]), n: 3 }))
      return gates.map((gate) => relu(graph, write.dense(write.mix(experts, gate, 'row'), 2)))
    },
    10,
  ],
  'where a mixture is an output': [
    ({ graph, write, experts, gates }) => {
      const mixed = gates.map((gate) => write.mix(experts, gate, 'row'))
      return [mixed[0]!.name, ...mixed.map((input) => relu(graph, write.dense(input, 2)))]
    },
    9,
  ],
  'where something else reads a mixture': [
    ({ graph, write, experts, gates }) => {
      const mixed = gates.map((gate) => write.mix(experts, gate, 'row'))
      return [relu(graph, mixed[0]!), ...mixed.map((input) => relu(graph, write.dense(input, 2)))]
    },
    9,
  ],
  'where something else reads an expert': [
    ({ graph, write, experts, gates }) => [
      relu(graph, experts[1]!),
      ...gates.map((gate) => relu(graph, write.dense(write.mix(experts, gate, 'row'), 2))),
    ],
    9,
  ],
  'where an expert is an output': [
    ({ graph, write, experts, gates }) => [
      experts[1]!.name,
      ...gates.map((gate) => relu(graph, write.dense(write.mix(experts, gate, 'row'), 2))),
    ],
    9,
  ],
  'where a tower reads half a mixture as a row': [
    ({ graph, write, experts, gates }) =>
      gates.map((gate) => {
        const mixed = write.mix(experts, gate, 'row').name
        return relu(graph, write.dense({ name: graph.node('Reshape', [mixed, graph.integers([-1, 2])]), n: 2 }, 1))
      }),
    9,
  ],
}
for (const [name, [write, gemms]] of Object.entries(apart))
  t.test(`mixes alone ${name}`, async (t) => {
    for (let seed = 0; seed < 4; seed++) {
      const parts = mmoe(seed)
      answerWith(parts.graph, ...write(parts))
      const canonical = await prepared(parts.graph, earlier)
      t.equal(await breachOf(canonical, mix, seed), undefined)
      t.equal(count(canonical, 'MatMul'), 1)
      t.equal(count(canonical, 'Gemm'), gemms, operatorsOf(canonical))
    }
  })

t.test('mixes alone with more tasks than are worth it', async (t) => {
  const { graph, write, experts, gates } = mmoe(1, { tasks: 5 })
  answerWith(graph, ...gates.map((gate) => relu(graph, write.dense(write.mix(experts, gate, 'row'), 1))))
  const canonical = await prepared(graph, earlier)
  t.equal(await breachOf(canonical, mix, 1), undefined)
  t.equal(count(canonical, 'Gemm'), 3 * 2 + 1 + 5)
})

t.test('mixes by gates that read different tensors', async (t) => {
  const { graph, write, x, experts } = mmoe(1)
  const other = { name: graph.node('Tanh', ['x']), n: 5 }
  const gates = [x, other].map((input) => write.softmax(write.dense(input, 3)))
  answerWith(graph, ...gates.map((gate) => relu(graph, write.mix(experts, gate, 'row'))))
  const canonical = await prepared(graph, earlier)
  t.equal(await breachOf(canonical, mix, 1), undefined)
  t.equal(count(canonical, 'MatMul'), 1)
  t.equal(count(canonical, 'Softmax'), 2)
})

t.test("keeps apart what depends on another mixture's answer", async (t) => {
  for (const way of mixingWays) {
    const { graph, write, experts, gates } = mmoe(1)
    const first = write.mix(experts, gates[0]!, way)
    // A gate, made of another task's mixture of the same experts.
    const gate = write.softmax(write.dense(first, 3))
    const third = write.mix(experts, gates[1]!, way)
    const outputs = [write.dense(first, 1), write.dense(write.mix(experts, gate, way), 1), write.dense(third, 1)]
    answerWith(graph, ...outputs.map((tower) => relu(graph, tower)))
    const canonical = await prepared(graph, earlier)
    t.equal(await breachOf(canonical, (g) => t.equal(applied(g, mixExperts).changes, 3), 1), undefined)
    t.equal(count(canonical, 'MatMul'), 2)
  }
})

t.test('mixes mixtures', async (t) => {
  for (const way of mixingWays) {
    const { graph, write, x, experts, gates } = mmoe(1)
    const inner = gates.map((gate) => write.mix(experts, gate, way))
    const outer = [0, 1].map(() => write.mix(inner, write.softmax(write.dense(x, 2)), way))
    answerWith(graph, ...outer.map((mixture) => relu(graph, mixture)))
    const canonical = await prepared(graph, earlier)
    t.equal(await breachOf(canonical, mix, 1), undefined)
    // Joined, the inner mixtures are one tensor already, of which no parts are known.
    t.equal(count(canonical, 'MatMul'), way === 'joined' ? 3 : 2)
  }
})

t.test('mixes by what is itself a mixture', async (t) => {
  const { graph, write, experts, gates } = mmoe(1, { experts: 4 })
  const gate = write.mix(experts, gates[0]!, 'row')
  answerWith(graph, relu(graph, write.mix(experts, gate, 'row')), relu(graph, write.mix(experts, gates[1]!, 'row')))
  const canonical = await prepared(graph, earlier)
  t.equal(await breachOf(canonical, mix, 1), undefined)
})

t.test('leaves other products of computed tensors alone, and says so', async (t) => {
  const reason = 'it is not a known form of a mixture of experts'
  const others: ((parts: Mmoe) => string)[] = [
    // Attention.
    ({ graph }) => {
      const rows = graph.node('Reshape', ['x', graph.integers([-1, 1, 5])])
      const columns = graph.node('Reshape', ['x', graph.integers([-1, 5, 1])])
      return graph.node('MatMul', [columns, rows])
    },
    // A stack that is no Concat.
    ({ graph, gates }) => {
      const wide = graph.node('Concat', ['x', 'x', 'x'], { attributes: { axis: 1 } })
      const stack = graph.node('Reshape', [graph.node('Tanh', [wide]), graph.integers([-1, 3, 5])])
      return graph.node('MatMul', [graph.node('Unsqueeze', [gates[0]!.name, graph.integers([1])]), stack])
    },
  ]
  for (const write of others) {
    const parts = mmoe(1)
    answerWith(parts.graph, write(parts))
    const canonical = await prepared(parts.graph, earlier)
    t.same(applied(canonical, mixExperts), { changes: 0, reasons: [`MatMul: ${reason}`] })
  }
})

import t from 'tap'
import { buildArchitecture } from '../../../../src/model/graph/architectures/build.ts'
import { sidesOf } from '../../../../src/model/graph/architectures/side-inputs.ts'
import { optimise } from '../../../../src/model/graph/compile/optimise.ts'
import { layersModelFiles } from '../../../../src/model/graph/lower/layers/write-layers-model.ts'
import { readGraph } from '../../../../src/model/graph/lower/read-graph.ts'
import type { SplitGraphs } from '../../../../src/model/graph/sides/split-graphs.ts'
import { splitSides } from '../../../../src/model/graph/sides/split-sides.ts'
import type { ArchitectureOptions } from '../../../../src/schemas/architecture.ts'
import type { Side } from '../../../../src/schemas/features.ts'
import { Dice } from '../../../support/compile/dice.ts'
import { breachOfPlans } from '../../../support/compile/run-plan.ts'
import { writeFiles } from '../../../support/layers-model.ts'

const field = (kind: string, side: Side) => ({ kind, side })
const sides = sidesOf([
  field('hash', 'context'),
  field('numeric', 'candidate'),
  field('hash', 'candidate'),
  field('integer', 'context'),
  field('numeric', 'context'),
])
const experts = { num_hidden_expert: 3, dim_hidden_expert: 8, dropout_expert: 0 }
const common = {
  ...{ dim_emb: 4, embedding_l2: 0, ...experts },
  ...{ num_hidden_tasks: 2, dim_hidden_tasks: 8, dropout_tasks: 0 },
}
const models: ArchitectureOptions[] = [
  { name: 'multi_gate', ...common, num_experts: 1, num_experts_context: 2, num_experts_candidate: 1 },
  { name: 'mixture_of_experts', ...common, num_experts: 0, num_experts_context: 2, num_experts_candidate: 1 },
  {
    ...{ name: 'ple', ...common, num_levels: 1, num_experts_task: 1, num_experts_shared: 1 },
    ...{ num_experts_context: 2, num_experts_candidate: 1 },
  },
]

t.test('sides follow the order of the fields, sparse and numeric apart', async (t) => {
  t.same(sides, { sparse: ['context', 'candidate', 'context'], dense: ['candidate', 'context'] })
})

for (const options of models)
  t.test(`experts of the context are computed once per request: ${options.name}`, async (t) => {
    const folder = t.testdir()
    const shape = { sparseFields: 3, denseFields: 2, ids: 7, sides, tasks: ['ctr', 'cvr'], seed: 3 }
    await writeFiles(folder, layersModelFiles(buildArchitecture(options, shape)))
    const source = { folder, format: 'layers' as const, file: 'model.json', outputs: ['probabilities'] }
    const graph = await readGraph(source, 'probabilities')
    await optimise(graph)
    const plans = splitSides(graph, sides) as SplitGraphs
    t.equal(typeof plans, 'object', `${plans}`)
    t.equal(await breachOfPlans(graph, sides, plans, new Dice(1)), undefined)

    const { graph: shared, rows } = plans.shared_context!
    const ofRows = new Set(rows.map(({ name }) => name))
    const perRequest: number[][] = []
    for (const { opType, input, output } of shared.nodes) {
      if (input.some((name) => ofRows.has(name))) for (const name of output) ofRows.add(name)
      else if (opType === 'Gemm' || opType === 'MatMul') perRequest.push(shared.dimsOf(input[1]!)!)
    }
    // Both experts of the context together: 9 columns (two ids of 4, one number) → 16 → 16 → 16.
    t.same(
      perRequest.filter(([columns]) => columns === 16),
      [
        [16, 16],
        [16, 16],
      ],
      'their later layers too',
    )
    t.ok(perRequest.some((dims) => dims.join() === '9,16'))
  })

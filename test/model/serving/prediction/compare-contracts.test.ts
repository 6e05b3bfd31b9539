import t from 'tap'
import {
  type Contract,
  compareContracts,
  contractOf,
  listProblems,
} from '../../../../src/model/serving/prediction/compare-contracts.ts'
import type { Field } from '../../../../src/schemas/features.ts'
import type { Manifest } from '../../../../src/schemas/manifest.ts'
import type { PredictOptions } from '../../../../src/schemas/predict.ts'
import { fc, randomCases } from '../../../support/cases.ts'
import { exampleManifest, gatedManifest } from '../../../support/fakes/manifest.ts'

const named = (manifest: Manifest) => contractOf({ manifest })

function withField(changes: Partial<Field> & { name: string }, manifest = exampleManifest()): Manifest {
  const features = manifest.features.map((field) => (field.name === changes.name ? { ...field, ...changes } : field))
  return { ...manifest, features: features as Manifest['features'] }
}

const without = (name: string): Manifest => {
  const manifest = exampleManifest()
  return { ...manifest, features: manifest.features.filter((field) => field.name !== name) }
}

const withNew = (missing: 'error' | { default: number }): Manifest => {
  const field: Field = { name: 'depth', side: 'candidate', kind: 'numeric', scaling: { method: 'none' }, missing }
  return exampleManifest({ features: [...exampleManifest().features, field] })
}

const cases: [name: string, after: Manifest, expected: string[], before?: Manifest][] = [
  ['the same again', exampleManifest(), []],
  ['a derived task is gone', exampleManifest({ derived: [] }), ['the task ctcvr is no longer answered']],
  [
    'a task is gone, and what followed from it',
    exampleManifest({ tasks: [{ name: 'cvr' }], derived: [] }),
    [
      'the task ctr is no longer answered',
      'the task ctcvr is no longer answered',
      'the option rank by ecpm is no longer possible',
    ],
  ],
  ['a task is added', exampleManifest({ tasks: [{ name: 'ctr' }, { name: 'cvr' }, { name: 'like' }] }), []],
  [
    'a task is derived from others now',
    exampleManifest({ tasks: [{ name: 'ctr' }], derived: [{ name: 'cvr', product: ['ctr'] }] }),
    ['the task ctcvr is no longer answered', 'the task cvr is derived now, and has no raw probability'],
  ],
  [
    'a task whose name is an answer of its own',
    exampleManifest({ tasks: [{ name: 'ctr' }, { name: 'cvr' }, { name: 'unknown' }] }),
    ['the option unknown is no longer possible'],
  ],
  ['gates are gone', exampleManifest(), ['the option gates is no longer possible'], gatedManifest()],
  ['gates are added', gatedManifest(), []],
  ['a field is gone', without('age'), ['the field age is no longer accepted']],
  ['a field with a default is new', withNew({ default: 1 }), []],
  ['a field without a default is new', withNew('error'), ['the field depth is new and required']],
  ['a default is gone', withField({ name: 'age', missing: 'error' }), ['the field age is now required']],
  ['a default is new', withField({ name: 'price', missing: { default: 1 } }), []],
  ['a field moves to another side', withField({ name: 'age', side: 'context' }), []],
  [
    'its scaling is another one',
    withField({ name: 'price', scaling: { method: 'standard', mean: 0, deviation: 1e-3 } }),
    [],
  ],
  [
    'its scaling takes no negative numbers',
    withField({ name: 'price', scaling: { method: 'log1p', scale: 1 } }),
    ['the field price must now be greater than −1'],
  ],
  ['fewer integers are known', withField({ name: 'hour', size: 12 }), ['the field hour must now be from 0 to 11']],
  ['more integers are known', withField({ name: 'hour', size: 48 }), []],
  ['integers outside are unknown values now', withField({ name: 'hour', size: 1, out_of_vocabulary: 'bucket' }), []],
  [
    'unknown values are refused now',
    withField({ name: 'country', out_of_vocabulary: 'error', values: ['DE', 'FR', 'US'] }),
    ['the field country no longer accepts values outside its vocabulary'],
  ],
  [
    'the order of a vocabulary changes, and it grows',
    withField({ name: 'campaign', values: ['c3', 'c1', 'c4', 'c2'] }),
    [],
  ],
  [
    'a closed vocabulary shrinks',
    withField({ name: 'campaign', values: ['c1', 'c3'] }),
    ['the field campaign no longer accepts "c2"'],
  ],
  ['an open vocabulary shrinks', withField({ name: 'country', values: ['FR'] }), []],
  [
    'strings become numbers',
    exampleManifest({
      features: exampleManifest().features.map((field) =>
        field.name === 'creative'
          ? {
              name: 'creative',
              side: 'candidate',
              kind: 'numeric',
              scaling: { method: 'none' },
              missing: { default: 0 },
            }
          : field,
      ),
    }),
    ['the field creative must now be a number, and was a string'],
  ],
]

for (const [name, after, expected, before = exampleManifest()] of cases)
  t.test(name, async (t) => {
    t.same(compareContracts(named(before), named(after)), expected)
  })

const tensor = (name: string, dtype: string, dims: number[], ids: number[] = []) => ({
  name,
  dtype,
  dims,
  ids,
  shared: true,
})

/** A graph without a manifest: its inputs, and outputs of one column per task. */
function raw(inputs: ReturnType<typeof tensor>[], outputs = ['ctr', 'cvr']): Contract {
  const sparse = inputs.filter(({ dtype }) => dtype !== 'float32').map(({ name }) => name)
  const dense = inputs.filter(({ dtype }) => dtype === 'float32').map(({ name }) => name)
  const manifest = exampleManifest({
    features: [],
    tasks: outputs.map((name) => ({ name })),
    derived: [],
    graph: {
      format: 'onnx',
      file: 'model.onnx',
      inputs: { ...(sparse.length > 0 && { sparse }), ...(dense.length > 0 && { dense }) },
      outputs: { probabilities: outputs },
    },
  })
  const signature = { inputs, outputs: outputs.map((name) => tensor(name, 'float32', [1])) }
  return contractOf({ manifest, manifestless: { signature } })
}

const ids = tensor('ids', 'int32', [2], [10, 10])
const numbers = tensor('numbers', 'float32', [3])

const rawCases: [name: string, after: Contract, expected: string[]][] = [
  ['the same tensors', raw([ids, numbers]), []],
  ['tensors in another order', raw([numbers, ids]), []],
  ['an input is gone', raw([ids]), ['the input numbers is no longer accepted']],
  ['an input is new', raw([ids, numbers, tensor('age', 'float32', [1])]), ['the input age is new and required']],
  [
    'an input is wider',
    raw([ids, tensor('numbers', 'float32', [4])]),
    ['the input numbers must now be [rows, 4], and was [rows, 3]'],
  ],
  [
    'a table is smaller',
    raw([tensor('ids', 'int32', [2], [10, 8]), numbers]),
    ['the input ids must now hold ids from 0 to 7'],
  ],
  ['a table is larger', raw([tensor('ids', 'int64', [2], [10, 99]), numbers]), []],
  [
    'an output is gone',
    raw([ids, numbers], ['ctr', 'like']),
    ['the task cvr is no longer answered', 'the output cvr is no longer answered'],
  ],
]

for (const [name, after, expected] of rawCases)
  t.test(`without a manifest: ${name}`, async (t) => {
    t.same(compareContracts(raw([ids, numbers]), after), expected)
  })

t.test('a graph without a manifest takes none of the fields of one that had them', async (t) => {
  const after = raw([ids, numbers])
  t.match(compareContracts(named(exampleManifest()), after), [
    'the task ctcvr is no longer answered',
    'named fields are no longer accepted: it has no manifest',
  ])
})

t.test('of many findings, the first are listed', async (t) => {
  t.equal(listProblems(['a', 'b']), 'a; b')
  t.equal(listProblems(['a', 'b', 'c', 'd', 'e', 'f', 'g']), 'a; b; c; d; e; and 2 more')
})

/* The law: what is found is what clients notice. */

const strings = ['a', 'b', 'c', 'z']
const values: readonly unknown[] = [...strings, -7, -1, 0, 0.5, 1, 2, 3, 1e6, null, undefined]
const oov = fc.constantFrom('bucket' as const, 'error' as const)
const missing = <T>(value: T) => fc.constantFrom('error' as const, { default: value })
const fieldOf = (name: string): fc.Arbitrary<Field> =>
  fc.oneof(
    fc.record({
      name: fc.constant(name),
      side: fc.constantFrom('context' as const, 'candidate' as const),
      kind: fc.constant('vocabulary' as const),
      // `a` is always known, so that a default is.
      values: fc.uniqueArray(fc.constantFrom('b', 'c')).map((more) => ['a', ...more]),
      out_of_vocabulary: oov,
      missing: missing('a'),
    }),
    fc.record({
      name: fc.constant(name),
      side: fc.constant('candidate' as const),
      kind: fc.constant('hash' as const),
      buckets: fc.integer({ min: 1, max: 9 }),
      seed: fc.constant(0),
      missing: missing('a'),
    }),
    fc.record({
      name: fc.constant(name),
      side: fc.constant('candidate' as const),
      kind: fc.constant('integer' as const),
      size: fc.integer({ min: 1, max: 3 }),
      out_of_vocabulary: oov,
      missing: missing(0),
    }),
    fc.record({
      name: fc.constant(name),
      side: fc.constant('cross' as const),
      kind: fc.constant('numeric' as const),
      scaling: fc.constantFrom(
        { method: 'none' as const },
        { method: 'standard' as const, mean: 1, deviation: 2 },
        { method: 'log1p' as const, scale: 1 },
      ),
      missing: missing(0),
    }),
  )

interface Parts {
  f: Field | undefined
  g: Field | undefined
  tasks: string[]
  derived: string | undefined
  gates: string[]
}

const parts: fc.Arbitrary<Parts> = fc.record({
  f: fc.option(fieldOf('f'), { nil: undefined }),
  g: fc.option(fieldOf('g'), { nil: undefined }),
  tasks: fc.uniqueArray(fc.constantFrom<string[]>('ctr', 'cvr', 'unknown'), { minLength: 1 }),
  derived: fc.option(fc.constantFrom<string[]>('cvr', 'value'), { nil: undefined }),
  gates: fc.subarray(['ctr', 'cvr']),
})

/** A successor that differs in these parts alone. */
const pair = fc
  .tuple(parts, parts, fc.subarray<keyof Parts>(['f', 'g', 'tasks', 'derived', 'gates']))
  .map(([first, second, changed]): [Parts, Parts] => [
    first,
    { ...first, ...Object.fromEntries(changed.map((part) => [part, second[part]])) },
  ])

function made({ f, g, tasks, derived, gates }: Parts): Contract {
  const { graph } = exampleManifest()
  const always: Field = { name: 'x', side: 'candidate', kind: 'hash', buckets: 5, seed: 0, missing: 'error' }
  const gated = gates.filter((name) => tasks.includes(name)).map((name) => [name, `gate_${name}`])
  return named(
    exampleManifest({
      features: [always, ...[f, g].filter((field) => field !== undefined)],
      tasks: tasks.map((name) => ({ name })),
      derived: derived === undefined || tasks.includes(derived) ? [] : [{ name: derived, product: [tasks[0]!] }],
      graph: {
        ...graph,
        outputs: { ...graph.outputs, ...(gated.length > 0 && { gates: Object.fromEntries(gated) }) },
      },
    }),
  )
}

const asked: PredictOptions[] = [{}, { raw: true }, { gates: true }, { unknown: true }, { rank: { by: 'ecpm' } }]

/** The parts of the answer that a client gets, by name; undefined where the request is refused. */
function answerOf({ manifest, encoder, check }: Contract, row: Record<string, unknown>, options: PredictOptions) {
  if (check({ options }).length > 0) return undefined
  try {
    encoder.rows(undefined, [row], { maxRows: 1, partial: false })
  } catch {
    return undefined
  }
  const base = manifest.tasks.map(({ name }) => name)
  return [
    ...[...base, ...manifest.derived.map(({ name }) => name)],
    ...(options.raw ? base.map((name) => `raw ${name}`) : []),
    ...(options.gates ? Object.keys(manifest.graph.outputs.gates ?? {}).map((name) => `gates ${name}`) : []),
  ]
}

t.test('a finding is a request that was answered and is refused now, or lacks a part', async (t) => {
  const rows = values.flatMap((f) =>
    values.map((g) => ({ x: 'a', ...(f !== undefined && { f }), ...(g !== undefined && { g }) })),
  )
  const breaks = (before: Contract, after: Contract) =>
    asked.some((options) =>
      rows.some((row) => {
        const was = answerOf(before, row, options)
        const is = answerOf(after, row, options)
        return was !== undefined && (is === undefined || was.some((part) => !is.includes(part)))
      }),
    )
  fc.assert(
    fc.property(pair, ([first, second]) => {
      const [before, after] = [made(first), made(second)]
      return compareContracts(before, after).length > 0 === breaks(before, after)
    }),
    { numRuns: randomCases(300) },
  )
  t.pass()
})

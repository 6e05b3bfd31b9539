import { execFileSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { readSpec } from '../../../src/tools/data/read-spec.ts'
import { SpecError } from '../../../src/tools/data/source.ts'
import { specs, tinySpec } from '../../support/tiny.ts'

/** Problems of a spec, as `path message`. */
async function problemsOf(folder: string, file = 'spec.yaml'): Promise<string[]> {
  try {
    await readSpec(join(folder, file), specs)
    return []
  } catch (error) {
    if (!(error instanceof SpecError)) throw error
    return error.problems.map(({ path, message }) => `${path} ${message}`)
  }
}

t.test('fills in defaults', async (t) => {
  const folder = t.testdir({ 'spec.json': JSON.stringify(tinySpec()) })
  const { file, spec } = await readSpec(join(folder, 'spec.json'), specs)
  t.equal(file, join(folder, 'spec.json'))
  t.equal(spec.version, 1)
  t.equal(spec.precision, 'float32')
  t.match(spec.architecture, { name: 'multi_gate', dim_emb: 4, embedding_l2: 0.001, num_hidden_tasks: 2 })
  t.match(spec.fields[0], { side: 'candidate', min_count: 1, out_of_vocabulary: 'bucket', missing: 'error' })
  t.match(spec.data, { separator: ',', trim: false, missing: [''] })
})

t.test('conditions of publishing are about tasks of the spec', async (t) => {
  const { tasks } = tinySpec()
  const name = tasks[0]!.name
  const publish = { metrics: { [name]: { auc: { min: 0.5 } }, [`${name}x`]: { auc: { min: 0.5 } } } }
  const folder = t.testdir({ 'spec.yaml': JSON.stringify({ ...tinySpec(), publish }) })
  const problems = (await problemsOf(folder)).filter((problem) => problem.startsWith('/publish'))
  t.equal(problems.length, 1)
  t.match(problems[0], `/publish/metrics/${name}x the rows have no labels of ${name}x; did you mean "${name}"?`)
})

t.test('refuses a pipe, which blocks', async (t) => {
  const folder = t.testdir()
  execFileSync('mkfifo', [join(folder, 'spec.yaml')])
  t.same(await problemsOf(folder), [" can't be read: it is a pipe or a device, not a file"])
})

t.test('lists all problems at once, each with its path', async (t) => {
  const spec = {
    ...tinySpec(),
    nam: 'x',
    version: 0,
    tasks: [{ name: 'score', label: '' }],
    fields: [
      { name: 'colour', kind: 'colour' },
      { name: 'id', kind: 'hash' },
      { name: 'user', kind: 'hash', hash: 'farmhash64', buckets: 9, seed: 0 },
      { name: 'item', kind: 'hash', hash: 'farm', buckets: 9 },
      { name: 'size', kind: 'numeric', scaling: 'log', missing: { default: 'x' }, side: 'left' },
    ],
    split: { by: 'time', train: 2 },
    architecture: { name: 'multi_gate', num_experts: -1, experts: 4 },
    data: { generator: 'clicks' },
    precision: 'int4',
    sequences: [{ name: 'views', attention: 'time_decay', half_lives: [1e-40, 1, 1e300] }],
  }
  const folder = t.testdir({ 'spec.yaml': JSON.stringify(spec) })
  const problems = await problemsOf(folder)
  for (const expected of [
    /^\/nam is unknown; known are name, version/,
    /^\/version must be at least 1/,
    /^\/tasks\/0\/name must match pattern/,
    /^\/tasks\/0\/label must have at least 1/,
    /^\/fields\/0\/kind must be "vocabulary" or "hash" or "integer" or "numeric"/,
    /^\/fields\/1\/name must match pattern/,
    /^\/fields\/1\/buckets is required/,
    /^\/fields\/2\/seed must be left out: farmhash64 has no seed/,
    /^\/fields\/3\/hash must be "murmur3" or "farmhash64" or "xxhash64"/,
    /^\/fields\/4\/scaling must be "standard" or "min_max" or "log1p" or "none"/,
    /^\/fields\/4\/missing\/default must be a number/,
    /^\/fields\/4\/side must be "context" or "candidate" or "cross"/,
    /^\/split\/column is required/,
    /^\/split\/train must be less than 1/,
    /^\/architecture\/num_experts must be at least 0/,
    /^\/architecture\/experts is unknown/,
    /^\/data\/generator must be "ads-funnel" or "ads-history" or "synthetic-tasks"$/,
    /^\/sequences\/0\/half_lives\/0 must be at least 1e-30/,
    /^\/sequences\/0\/half_lives\/2 must be at most 1e\+30/,
    /^\/precision must be "float32" or "bfloat16" or "int8"/,
  ]) {
    t.ok(
      problems.some((problem) => expected.test(problem)),
      `${expected}`,
      { problems },
    )
  }
})

t.test('finds contradictions', async (t) => {
  const spec = {
    ...tinySpec(),
    tasks: [
      { name: 'ctr', label: 'click == "1"' },
      { name: 'ctr', label: 'click == "1"' },
    ],
    derived: [
      { name: 'both', product: ['ctr', 'cvr'] },
      { name: 'ctr', product: ['ctr'] },
    ],
    fields: [
      { name: 'colour', kind: 'vocabulary' },
      { name: 'colour', kind: 'vocabulary', column: 'colour', expression: 'colour' },
    ],
    split: { by: 'order', train: 0.6, validation: 0.2, test: 0.3 },
    training: { select: 'ctr.auk' },
  }
  const columns = 'colour,shop,hour,size,click,sale\n'
  t.same(await problemsOf(t.testdir({ 'tiny.csv': columns, 'spec.yaml': JSON.stringify(spec) })), [
    '/tasks/1/name "ctr" is already used',
    '/fields/1/name "colour" is already used',
    '/fields/1 has both column and expression',
    '/split fractions must sum to 1, not 1.1: train 0.6, validation 0.2, test 0.3',
    '/derived/0/product/1 "cvr" is not one of the tasks: ctr, ctr; did you mean ctr?',
    '/derived/1/name "ctr" is already used',
    '/training/select must name a task and a metric: normalised_entropy, ctr.auc, ctr.logloss, ctr.normalised_entropy, ctr.auc, ctr.logloss, ctr.normalised_entropy; did you mean ctr.auc?',
  ])
})

t.test('the schema, columns and expressions are checked together', async (t) => {
  const spec = {
    ...tinySpec(),
    fields: [
      { name: 'colour', kind: 'colour' },
      { name: 'color', kind: 'vocabulary' },
      { name: 'large', kind: 'numeric', scaling: 'log', expression: 'size > 3.0' },
    ],
    tasks: [{ name: 'ctr', label: 'click ==', weight: 'high' }],
    derived: [],
  }
  const columns = 'colour,shop,hour,size,click,sale\n'
  t.match(await problemsOf(t.testdir({ 'tiny.csv': columns, 'spec.yaml': JSON.stringify(spec) })), [
    /^\/tasks\/0\/weight must be a number/,
    /^\/fields\/0\/kind must be "vocabulary"/,
    /^\/fields\/2\/scaling must be "standard"/,
    /^\/fields\/1\/name no column "color"; .*; did you mean colour\?$/,
    /^\/fields\/2\/expression no such overload: string > double/,
    /^\/tasks\/0\/label Unexpected token/,
  ])
  t.match(
    await problemsOf(t.testdir({ 'spec.yaml': JSON.stringify({ ...spec, data: { csv: [] } }) })),
    [/^\/data\/csv/, /weight/, /kind/, /scaling/, /^\/tasks\/0\/label Unexpected token/],
    'without columns, the syntax of expressions is checked',
  )
})

t.test('an unknown architecture is reported with all names', async (t) => {
  const folder = t.testdir({ 'tiny.csv': 'colour,shop,hour,size,click,sale\n' })
  const problems = async (architecture: object) => {
    await writeFile(join(folder, 'spec.json'), JSON.stringify({ ...tinySpec(), architecture }))
    return problemsOf(folder, 'spec.json')
  }
  const names = 'shared_bottom, mixture_of_experts, multi_gate, aitm, ple, esmm, single_task, mmoe, moe, omoe'
  t.same(await problems({ name: 'mmoee' }), [
    `/architecture/name must name an architecture: ${names}; did you mean mmoe?`,
  ])
  t.same(await problems({ num_experts: 2 }), [`/architecture/name must name an architecture: ${names}`])
})

t.test('an architecture may be called as papers do', async (t) => {
  const named = (name: string) => ({ ...tinySpec(), architecture: { name } })
  const folder = t.testdir({ 'mmoe.json': JSON.stringify(named('mmoe')), 'moe.json': JSON.stringify(named('moe')) })
  t.equal((await readSpec(join(folder, 'mmoe.json'), specs)).spec.architecture!.name, 'multi_gate')
  t.equal((await readSpec(join(folder, 'moe.json'), specs)).spec.architecture!.name, 'mixture_of_experts')
})

t.test('extends another spec, key by key', async (t) => {
  const folder = t.testdir({
    'base.yaml': JSON.stringify(tinySpec()),
    'spec.yaml': 'extends: base.yaml\nname: other\narchitecture: { name: shared_bottom }\n',
    'loop.yaml': 'extends: loop.yaml\n',
    'number.yaml': 'extends: 3\n',
  })
  const { spec } = await readSpec(join(folder, 'spec.yaml'), specs)
  t.equal(spec.name, 'other')
  t.equal(spec.architecture!.name, 'shared_bottom')
  t.equal(spec.fields.length, tinySpec().fields.length)
  t.same(await problemsOf(folder, 'loop.yaml'), ['/extends extends itself'])
  t.same(await problemsOf(folder, 'number.yaml'), ['/extends must be the path of a spec'])
})

t.test('files that are no specs', async (t) => {
  const folder = t.testdir({ 'list.yaml': '- 1\n', 'broken.yaml': 'a: [\n', 'folder.yaml': {} })
  t.same(await problemsOf(folder, 'list.yaml'), [' must be an object'])
  t.match(await problemsOf(folder, 'broken.yaml'), [/line 2/])
  t.match(await problemsOf(folder, 'folder.yaml'), [/can't be read/])
  await t.rejects(readSpec('nothing', specs), { message: /no such spec: .*census-income/ })
  await t.rejects(readSpec('ads-funel', specs), { message: /; did you mean ads-funnel\?$/ })
  await t.rejects(readSpec('nothing', join(folder, 'none')), { message: /nor one of \(none\)/ })
})

t.test('the specs of the project are sound, and found by name', async (t) => {
  for (const name of [
    'ads-funnel',
    'ads-funnel-shared-bottom',
    'ads-funnel-moe',
    'ads-funnel-aitm',
    'census-income',
    'movielens',
  ]) {
    const { spec } = await readSpec(name, specs)
    t.equal(spec.name, name)
  }
})

t.test('options of an architecture fit the tasks and the fields', async (t) => {
  const written = (architecture: object) => ({ 'spec.json': JSON.stringify({ ...tinySpec(), architecture }) })
  const problems = async (architecture: object) =>
    (await problemsOf(t.testdir(written(architecture)), 'spec.json')).filter((problem) => !problem.startsWith('/data'))
  const task = tinySpec().tasks[0]!.name
  t.same(await problems({ name: 'omoe', num_experts_candidate: 1, num_experts: 0, dims_tasks: [8] }), [])
  t.same(await problems({ name: 'mmoe', num_experts: 0 }), [
    '/architecture/num_experts must be at least 1 without num_experts_context and num_experts_candidate',
  ])
  t.equal(
    (await problems({ name: 'esmm', dims_tasks: { nobody: [8] } }))[0],
    `/architecture/dims_tasks lacks the task "${task}"`,
  )
  t.match(
    (await problems({ name: 'esmm', dims_tasks: { nobody: [8] } })).at(-1),
    /dims_tasks\/nobody is not one of the tasks: /,
  )
  t.match(await problems({ name: 'ple', dims_expert: [] }), [/^\/architecture\/dims_expert /])
  t.match(await problems({ name: 'ple', dims_tasks: { [task]: ['wide'] } }), [
    new RegExp(`^/architecture/dims_tasks/${task}/0 must be`),
  ])
  t.match(await problems({ name: 'ple', dims_tasks: 7 }), [/^\/architecture\/dims_tasks must be a list or an object$/])
  t.match(await problems({ name: 'ple', gate_temperature: 0 }), [/^\/architecture\/gate_temperature /])
})

// Histories that are made from the rows: from Parquet to a served version, continued the next day.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { readBundle } from '../../../src/model/serving/version/read-version.ts'
import { readDataset } from '../../../src/tools/data/dataset.ts'
import { createRandom } from '../../../src/tools/data/random.ts'
import { readSpec } from '../../../src/tools/data/read-spec.ts'
import { readingsOf } from '../../../src/tools/train/fields.ts'
import { temporaryFolder } from '../../support/bundle.ts'
import { runCli } from '../../support/cli.ts'
import { parquetOf } from '../../support/parquet.ts'
import { startTestServer } from '../../support/server.ts'
import { specs } from '../../support/tiny.ts'
import { trainIn } from '../../support/trained.ts'

const history = { of: ['item', 'row'], by: 'user', order: 'time', where: 'click == 1.0', last: 3 }
const spec = {
  name: 'shop',
  data: { parquet: ['log.parquet'] },
  tasks: [{ name: 'ctr', label: 'click == 1.0' }],
  fields: [
    { name: 'hour', side: 'context', kind: 'integer', size: 24 },
    { name: 'item', kind: 'vocabulary' },
    { name: 'row', kind: 'numeric', scaling: 'none' },
  ],
  history,
  sequences: [{ name: 'history', attention: 'din', target: ['item'], dims: [4] }],
  group: 'user',
  split: { by: 'random', train: 0.6, validation: 0.2, test: 0.2 },
  architecture: { name: 'shared_bottom', dim_emb: 4, dims_shared: [8], dims_tasks: [4] },
  training: { epochs: 1, batch_size: 64, learning_rate: 0.01 },
}

interface Row {
  user: string
  time: number
  item: string
  row: number
  click: number
  hour: number
}

/** A day's rows, in no order of time; several have the same. `row` tells them apart. */
function drawRows(first: number, count = 500): Row[] {
  const random = createRandom(first + 1)
  return Array.from({ length: count }, (_, i) => ({
    user: `u${random.integer(12)}`,
    time: first + random.integer(200),
    item: `i${random.integer(9)}`,
    row: first + i,
    click: Number(random.uniform() < 0.4),
    hour: random.integer(24),
  }))
}

function parquet(rows: readonly Row[]): Buffer {
  const names = ['user', 'time', 'item', 'row', 'click', 'hour'] as const
  return parquetOf(
    names.map((name) => ({
      name,
      data: rows.map((row) => row[name]),
      type: name === 'user' || name === 'item' ? ('STRING' as const) : ('DOUBLE' as const),
    })),
  )
}

async function folderOf(t: Test, days: Record<string, Row[]>): Promise<string> {
  const folder = await temporaryFolder(t)
  for (const [file, rows] of Object.entries(days)) await writeFile(join(folder, file), parquet(rows))
  return folder
}

async function read(folder: string, changes: object = {}) {
  await writeFile(join(folder, 'spec.json'), JSON.stringify({ ...spec, ...changes }))
  const loaded = await readSpec(join(folder, 'spec.json'), specs)
  return readDataset(loaded, readingsOf(loaded.spec.fields, loaded.spec.history))
}

t.test('no row sees itself, a row of its own time or of a later one, in any part', async (t) => {
  // A planted leak: `row` names each row, so that whatever stands in a history is known.
  const [past, rows] = [drawRows(0), drawRows(1000)]
  const folder = await folderOf(t, { 'past.parquet': past, 'log.parquet': rows })
  const all = [...rows, ...past]
  const byName = new Map(all.map((row) => [row.row, row]))
  const { cells, parts } = await read(folder, { data: { ...spec.data, past: ['past.parquet'] } })
  const lists = cells.at(-1)!
  let values = 0
  for (const part of [parts.train, parts.validation, parts.test]) {
    t.ok(
      part.every((index) => index < rows.length),
      'rows of the past are in no part',
    )
    for (const index of part) {
      const own = rows[index]!
      const seen = (lists.at(index) as number[]).map((row) => byName.get(row)!)
      values += seen.length
      t.ok(seen.every((row) => row.time < own.time && row.user === own.user && row.click === 1))
      const missed = all.filter((row) => row.user === own.user && row.time < own.time && row.click === 1)
      t.equal(seen.length, Math.min(3, missed.length))
    }
  }
  t.ok(values > 1000)
})

t.test('from Parquet to a served version, and on from it with the rows of the next day', async (t) => {
  const folder = await folderOf(t, { 'log.parquet': drawRows(0, 900), 'next.parquet': drawRows(1000) })
  await trainIn(folder, spec)
  const models = join(folder, 'models')
  const { manifest } = await readBundle(models, 'shop', '1')
  t.match(manifest.features.slice(3), [
    { name: 'history_item', side: 'context', kind: 'shared', table: 'item', sequence: 'history', list: { max: 3 } },
    { name: 'history_row', side: 'context', kind: 'numeric', sequence: 'history', list: { max: 3, keep: 'last' } },
  ])
  t.match(manifest.provenance, { history_of: { ...history, name: 'history' } })
  const server = await startTestServer(t, { models })
  const context = { hour: 3, history_item: ['i1', 'i2'], history_row: [1, 2] }
  const { status } = await server.predict({ context, candidates: [{ item: 'i1', row: 5 }] })
  t.equal(status, 200)
  const data = { parquet: ['next.parquet'], past: ['log.parquet'] }
  await trainIn(folder, { data, training: spec.training }, 'shop')
  const next = (await readBundle(models, 'shop', '2')).manifest
  t.match(next.provenance, { from: 'shop/1', history_of: { ...history, name: 'history' }, rows: { train: /\d+/ } })
  await writeFile(join(folder, 'spec.json'), JSON.stringify(spec))
  const judged = await runCli(['evaluate', 'shop/1', '--models', models, '--data', join(folder, 'spec.json')])
  t.match(judged, { code: 0, stdout: /ctr/ })
})

t.test('outcomes and ages are lists of earlier rows, and no inputs of the row itself', async (t) => {
  const rows = drawRows(0, 900)
  const folder = await folderOf(t, { 'log.parquet': rows, 'next.parquet': drawRows(1000) })
  const outcomes = [{ name: 'row' }, { name: 'clicked', expression: 'click == 1.0' }]
  const rated = { of: ['item'], outcomes, ages: 'age', by: 'user', order: 'time', last: 3 }
  const decay = { attention: 'time_decay', target: ['item'], ages: 'history_age', half_lives: [2, 8] }
  const sequences = [{ name: 'history', ...decay }]
  const changes = { history: rated, sequences, fields: spec.fields.filter(({ name }) => name !== 'row') }
  const { cells } = await read(folder, changes)
  t.equal(cells.length, 6)
  const [items, named, clicked, ages] = cells.slice(2)
  let values = 0
  rows.forEach((row, index) => {
    const seen = (named!.at(index) as number[]).map((name) => rows[name]!)
    values += seen.length
    t.ok(seen.every(({ user, time }) => user === row.user && time < row.time))
    t.strictSame(
      items!.at(index),
      seen.map(({ item }) => item),
    )
    t.strictSame(
      clicked!.at(index),
      seen.map(({ click }) => click),
    )
    t.strictSame(
      ages!.at(index),
      seen.map(({ time }) => row.time - time),
    )
  })
  t.ok(values > 2000)

  await trainIn(folder, { ...spec, ...changes })
  const models = join(folder, 'models')
  const { manifest } = await readBundle(models, 'shop', '1')
  t.strictSame(
    manifest.features.map(({ name }) => name),
    ['hour', 'item', 'history_item', 'history_row', 'history_clicked', 'history_age'],
  )
  const server = await startTestServer(t, { models })
  const context = {
    hour: 3,
    history_item: ['i1', 'i2'],
    history_row: [1, 2],
    history_clicked: [0, 1],
    history_age: [4, 1],
  }
  const { status } = await server.predict({ context, candidates: [{ item: 'i1' }] })
  t.equal(status, 200)
  const data = { parquet: ['next.parquet'], past: ['log.parquet'] }
  await trainIn(folder, { data, training: spec.training }, 'shop')
  t.match((await readBundle(models, 'shop', '2')).manifest.provenance, { history_of: rated })
  await writeFile(join(folder, 'spec.json'), JSON.stringify({ ...spec, ...changes }))
  const judged = await runCli(['evaluate', 'shop/1', '--models', models, '--data', join(folder, 'spec.json')])
  t.match(judged, { code: 0, stdout: /ctr/ })
})

t.test('what a history can not be made of is named', async (t) => {
  const folder = await folderOf(t, { 'log.parquet': drawRows(0, 50) })
  const problem = async (changes: object, message: RegExp, more: object = {}) =>
    t.rejects(read(folder, { history: { ...history, ...changes }, ...more }), { message })
  await problem({ of: ['itm'] }, /:\n {2}\/history\/of\/0 "itm" is not a field; did you mean "item"\?[^\n]*$/)
  const [sequence] = spec.sequences
  await problem(
    { of: ['itm'] },
    /\/history\/of\/0 "itm".*\n {2}\/sequences\/1\/name no field is of the sequence "views"/,
    {
      sequences: [sequence, { ...sequence, name: 'views' }],
    },
  )
  const outcome = (outcome: object) => ({ outcomes: [outcome] })
  await problem(
    outcome({ name: 'item' }),
    /\/history\/outcomes\/0\/name "history_item" is a list of the history already/,
  )
  await problem({ ages: 'item' }, /\/history\/ages "history_item" is a list of the history already/)
  await problem(outcome({ name: 'rating' }), /\/history\/outcomes\/0\/column no column "rating"/)
  await problem(outcome({ name: 'buy', expression: 'click = 1' }), /\/history\/outcomes\/0\/expression /)
  await problem(outcome({ name: 'user' }), /\/history\/outcomes\/0 .*must be a number, not "u\d+"/)
  await problem(
    outcome({ name: 'buy', column: 'click', expression: 'click == 1.0' }),
    /\/history\/outcomes\/0 has both column and expression/,
  )
  await problem({ by: 'usr' }, /\/history\/by no column "usr"/)
  await problem({ order: 'user' }, /\/history\/order .*must be a number, not "u\d+"/)
  await problem({ where: 'click = 1' }, /\/history\/where /)
  await problem({ where: 'click == 7.0' }, /\/history\/where is true of no row: every history would be empty/)
  const vector = [...spec.fields.slice(0, 2), { name: 'row', kind: 'vector', length: 2 }]
  await problem({}, /\/history\/of\/1 "row" is a vector/, { fields: vector })
  await problem({ of: ['hour_item'] }, /\/history\/of\/0 "hour_item" is crossed/, {
    fields: [...spec.fields, { name: 'hour_item', kind: 'crossed', of: ['hour', 'item'] }],
  })
  const long = 'x'.repeat(124)
  await problem(outcome({ name: long, column: 'click' }), /\/history\/outcomes\/0\/name makes a list whose name has/)
  await problem({ of: [long] }, /\/history\/of\/0 makes a list whose name has more than 128 characters/, {
    fields: [...spec.fields, { name: long, column: 'item', kind: 'hash', buckets: 9 }],
  })
  await problem({}, /\/fields\/3\/name "history_item" is a list of the history/, {
    fields: [...spec.fields, { name: 'history_item', column: 'item', kind: 'vocabulary' }],
  })
  await problem(
    { order: 'click', where: 'click == 1.0' },
    /\/history every history would be empty: no row has an earlier/,
  )
  const past = ['./log.parquet', 'log.parquet']
  await problem({}, /\/data\/past\/0 is \/data\/parquet\/0, too: its rows would be in histories twice/, {
    data: { ...spec.data, past },
  })
  await problem({ max: 9 }, /\/history\/max has no effect: no field of the history is a list/)
  const data = { ...spec.data, past: ['log.parquet'] }
  await t.rejects(read(folder, { history: undefined, sequences: undefined, data }), {
    message: /\/data\/past has no effect without history/,
  })
})

import { execFile } from 'node:child_process'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { decodeDelta } from '../../../src/model/serving/deltas/delta-file.ts'
import { layoutOf } from '../../../src/model/serving/features/layout.ts'
import { writeDelta } from '../../../src/tools/convert/delta.ts'
import { createDeltaCommand } from '../../../src/tools/convert/delta-command.ts'
import { temporaryFolder, writeTestBundle } from '../../support/bundle.ts'
import { commandContext, runCli, spawnCli } from '../../support/cli.ts'
import {
  constantRows,
  liveWidth,
  readManifestOf,
  writeLiveBundle,
  writeDelta as writeTestDelta,
} from '../../support/live-bundle.ts'
import { parquetOfLists } from '../../support/parquet.ts'

const root = await temporaryFolder(t)
const folder = await writeLiveBundle(root)
const deltas = join(folder, 'deltas')
const read = async (sequence: number) => decodeDelta(await readFile(join(deltas, `delta-${sequence}.bin`)))

async function rowsFile(text: string): Promise<string> {
  const path = join(root, 'rows.csv')
  await writeFile(path, text)
  return path
}

t.test('writes rows by ids and by values, one delta after the other, and checks them', async (t) => {
  const byId = await rowsFile('id,a,b,c,d\n7,1,2,3,4\n0,-1,0.5,1e-3,0\n')
  const written = await spawnCli(['delta', 'write', folder, '--rows', byId, '--field', 'campaign'])
  t.same([written.code, written.stdout], [0, `${join(deltas, 'delta-1.bin')}: 2 rows × 4\n`])
  t.match(await read(1), {
    model: 'ads',
    version: '1',
    sequence: 1,
    tables: [
      { field: 'campaign', width: 4, ids: Uint32Array.of(7, 0), rows: Float32Array.of(1, 2, 3, 4, -1, 0.5, 1e-3, 0) },
    ],
  })
  const byValue = await rowsFile('a,campaign,b,c,d\n1,c9,2,3,4\n')
  await writeDelta({ folder, rows: byValue, field: 'campaign' })
  const { sparse, slots } = layoutOf(await readManifestOf(folder))
  const { offset } = sparse[2]!
  const { encode } = slots.filter((slot) => slot.sparse)[2]!.encoder
  t.match(await read(2), {
    sequence: 2,
    tables: [{ ids: Uint32Array.of(Number(encode('c9')) - offset), rows: Float32Array.of(1, 2, 3, 4) }],
  })
  const hours = await rowsFile('hour,a,b,c,d\n23,1,2,3,4\n')
  await writeDelta({ folder, rows: hours, field: 'hour', sequence: 3 })
  t.match(await read(3), { tables: [{ field: 'hour', ids: Uint32Array.of(23) }] })

  const paths = (await readdir(deltas)).map((name) => join(deltas, name))
  const checked = await runCli(['delta', 'check', ...paths])
  t.equal(checked.code, 0, checked.stderr)
  t.match(checked.stdout, /delta-3\.bin: number 3 of ads\/1: hour 1 rows × 4\n/)
})

t.test('takes a whole row from one column of lists', async (t) => {
  const root = await temporaryFolder(t)
  const folder = await writeLiveBundle(root)
  const rows = join(root, 'rows.parquet')
  const write = async (lists: unknown[][], ids: unknown[], form: 'double' | 'integers' = 'double') => {
    const id = { name: 'id', type: form, data: ids }
    await writeFile(rows, parquetOfLists([id, { name: 'row', type: 'doubles', data: lists }]))
    return writeDelta({ folder, rows, field: 'campaign' })
  }
  t.match(
    await write(
      [
        [1, 2, 3, 4],
        [5, 6, 7, 8],
      ],
      [7, 1],
    ),
    { rows: 2, width: 4 },
  )
  const { tables } = decodeDelta(await readFile(join(folder, 'deltas', 'delta-1.bin')))
  t.same(tables[0]!.rows, Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8))
  await t.rejects(
    write([[1, 2, 3, 4], [5]], [7, 1]),
    /row 2: row has 1 numbers, but the rows of the field's table have 4/,
  )
  await t.rejects(write([[1, 2, null, 4]], [7]), /row 1: row\[2\] must be a number, not null/)
  await t.rejects(write([[1, 2, 3, 4]], [[7n]], 'integers'), /its column id is a list, not one value/)
})

t.test('writes rows by values that are hashed as another pipeline hashes them', async (t) => {
  const root = await temporaryFolder(t)
  const folder = await writeLiveBundle(root)
  const manifest = await readManifestOf(folder)
  const features = manifest.features.map(({ ...field }) => {
    if (field.kind !== 'hash') return field
    const { seed: _, ...unseeded } = field
    return { ...unseeded, hash: 'farmhash64' }
  })
  await writeFile(join(folder, 'manifest.json'), JSON.stringify({ ...manifest, features }))
  await writeFile(join(root, 'rows.csv'), 'campaign,a,b,c,d\ntest,1,2,3,4\n')
  const { path } = await writeDelta({ folder, rows: join(root, 'rows.csv'), field: 'campaign' })
  const ids = Uint32Array.of(Number(8581389452482819506n % 50n))
  t.match(decodeDelta(await readFile(path)), { tables: [{ field: 'campaign', ids }] })
})

t.test('refuses wrong rows and names the place', async (t) => {
  const before = await readdir(deltas)
  const cases: [string, string, RegExp][] = [
    [
      'campaign',
      'id,a,b\n1,2,3\n',
      /rows\.csv: it has 2 columns of numbers, but the rows of the field's table have 4$/,
    ],
    ['campaign', 'x,a,b,c,d\n1,2,3,4,5\n', /must have either a column id, of ids, or a column campaign/],
    ['campaign', 'id,a,b,c,d\n1,2,3,x,5\n', /rows\.csv line 2: c must be a number, not "x"$/],
    ['campaign', 'id,a,b,c,d\n1,2,3,4,\n', /rows\.csv line 2: d must be a number, not null$/],
    ['campaign', 'id,a,b,c,d\n1.5,2,3,4,5\n', /rows\.csv line 2: id must be an id, not 1\.5$/],
    ['campaign', 'id,a,b,c,d\n50,2,3,4,5\n', /row 0: the id 50 is out of range: ids are 0 to 49$/],
    ['campaign', 'id,a,b,c,d\n5,2,3,4,5\n5,2,3,4,5\n', /row 1: the id 5 is there twice$/],
    ['campaign', 'id,a,b,c,d\n5,2,3,4,1e39\n', /row 0: column 3 is Infinity, not a finite number$/],
    ['campaign', 'id,a,b,c,d\n', /rows\.csv has no rows$/],
    ['hour', 'hour,a,b,c,d\n24,2,3,4,5\n', /rows\.csv line 2: hour must be from 0 to 23$/],
    ['country', 'id,a,b,c,d\n1,2,3,4,5\n', /^"country" is not a live field of .*; live are hour, campaign$/],
  ]
  for (const [field, text, message] of cases)
    await t.rejects(writeDelta({ folder, rows: await rowsFile(text), field }), { message }, `${message}`)
  const rows = await rowsFile('id,a,b,c,d\n1,2,3,4,5\n')
  await t.rejects(writeDelta({ folder, rows, field: 'hour', sequence: 1 }), { message: /delta-1\.bin exists already$/ })
  t.same(await readdir(deltas), before)
  const plain = await temporaryFolder(t)
  await writeTestBundle(plain)
  const refused = { message: /refuses deltas: the manifest declares no field live/ }
  await t.rejects(writeDelta({ folder: join(plain, 'ads', '1'), rows, field: 'campaign' }), refused)
})

t.test('an unknown value of a vocabulary is refused, not written for all unknown ones', async (t) => {
  const models = await temporaryFolder(t)
  const { features } = await readManifestOf(folder)
  const live = features.map((field) => (field.name === 'country' ? { ...field, live: true } : field)) as typeof features
  const own = await writeLiveBundle(models, { features: live })
  const row = (value: string) => rowsFile(`country,a,b,c,d\n${value},2,3,4,5\n`)
  await t.rejects(writeDelta({ folder: own, rows: await row('XX'), field: 'country' }), {
    message: /line 2: country has no value "XX"$/,
  })
  await writeDelta({ folder: own, rows: await row('FR'), field: 'country' })
  t.same(decodeDelta(await readFile(join(own, 'deltas', 'delta-1.bin'))).tables[0]!.ids, Uint32Array.of(2))
})

t.test('check names what would be refused', async (t) => {
  const models = await temporaryFolder(t)
  const own = await writeLiveBundle(models)
  await writeTestDelta(own, 1, [constantRows('campaign', [1], 1)])
  await writeTestDelta(own, 2, [constantRows('campaign', [50], 1)])
  await writeFile(join(models, 'loose.bin'), await readFile(join(own, 'deltas', 'delta-1.bin')))
  const { context, stdout } = commandContext()
  const command = createDeltaCommand(context)
  const paths = [...[1, 2, 3].map((n) => join(own, 'deltas', `delta-${n}.bin`)), join(models, 'loose.bin')]
  await t.rejects(command.parseAsync(['check', ...paths], { from: 'user' }), {
    message: '2 of 4 deltas would be refused',
  })
  const lines = stdout().trimEnd().split('\n')
  t.match(lines, [
    /number 1 of ads\/1/,
    /row 0: the id 50 is out of range/,
    /is missing$/,
    /; not compared with a version$/,
  ])
})

const skipPython = await promisify(execFile)('python3', ['-c', '0']).then(
  () => false as const,
  () => 'Python 3 is not installed',
)
t.test("the documentation's program writes deltas that servers accept", { skip: skipPython }, async (t) => {
  const models = await temporaryFolder(t)
  const own = await writeLiveBundle(models)
  const page = await readFile(join(import.meta.dirname, '../../../../docs/live-tables.md'), 'utf8')
  const program = /```python\n(.*?)```/s.exec(page)![1]!
  const call = `write_delta(${JSON.stringify(own)}, 1, {"hour": ([3], [[1, 2, 3, 4]]), "campaign": ([5, 0], [[0.5] * ${liveWidth}] * 2)})`
  await promisify(execFile)('python3', ['-c', `${program}\n${call}`])
  const checked = await runCli(['delta', 'check', join(own, 'deltas', 'delta-1.bin')])
  t.match(checked, { code: 0, stdout: /number 1 of ads\/1: hour 1 rows × 4, campaign 2 rows × 4\n$/ })
  t.match(decodeDelta(await readFile(join(own, 'deltas', 'delta-1.bin'))).tables[1], {
    ids: Uint32Array.of(5, 0),
    rows: new Float32Array(8).fill(0.5),
  })
})

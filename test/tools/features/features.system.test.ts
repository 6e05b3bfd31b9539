import { mkdir, readdir, readFile, truncate, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import { cellOf } from '../../../src/model/serving/tables/column-readers.ts'
import { openTable } from '../../../src/model/serving/tables/open-table.ts'
import type { Entity } from '../../../src/schemas/entities.ts'
import { temporaryFolder, writeTestBundle } from '../../support/bundle.ts'
import { fc, randomCases, steadySeed } from '../../support/cases.ts'
import { runCli } from '../../support/cli.ts'
import { listCandidates, listContext, listFeatures } from '../../support/list-features.ts'
import { parquetOfLists } from '../../support/parquet.ts'

const folder = await temporaryFolder(t)
const models = join(folder, 'models')

const file = async (name: string, text: string) => {
  await writeFile(join(folder, name), text)
  return join(folder, name)
}
const features = (...args: string[]) => runCli(['features', ...args, '--models', models])

t.test('a CSV file becomes a table, and its rows are printed', async (t) => {
  const csv = await file(
    'ads.csv',
    ['ad_id,campaign,code,price,tags,seen', 'a1,c1,007,1.50,x|y,', 'a2,c2,12,,y,3', 'é,,12,2,,-4'].join('\n'),
  )
  const imported = await features('import', csv, '--key', 'ad_id', '--text', 'code', '--list', 'tags=|')
  t.match(imported, { code: 0, stdout: /models\/\.tables\/ads\/1: 3 rows; \d\.\d s\n\nads\/1: 3 rows by ad_id, / })
  t.match(imported.stdout, /^tags +lists of up to 2 strings +codes of 1 byte +2$/m)
  t.match(imported.stdout, /^price +numbers +float32$/m)
  t.match(imported.stdout, /^code +strings +codes of 1 byte +2$/m)
  const { code, stdout } = await features('get', 'ads', 'a1', 'é', 'a2')
  t.equal(code, 0)
  t.same(
    stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line)),
    [
      { ad_id: 'a1', campaign: 'c1', code: '007', price: 1.5, tags: ['x', 'y'], seen: null },
      { ad_id: 'é', campaign: null, code: '12', price: 2, tags: null, seen: -4 },
      { ad_id: 'a2', campaign: 'c2', code: '12', price: null, tags: ['y'], seen: 3 },
    ],
  )
  t.match(await features('get', 'ads', 'a1', 'a3', 'A1'), {
    code: 1,
    stdout: /"a1"/,
    stderr: /the table has no row of "a3", "A1"/,
  })
  t.match(await features('stats', 'add'), { code: 1, stderr: /has no table "add"; did you mean "ads"\?/ })
  const stats = JSON.parse((await features('stats', join(models, '.tables/ads/1'), '--json')).stdout)
  t.match(stats, { name: 'ads', version: '1', rows: 3, key: { name: 'ad_id', long: 0 } })
})

t.test('an import warns of versions that can not use the table, with the flag that divides its cells', async (t) => {
  const ad: Entity = { key: 'shop_id', side: 'candidate', table: 'shop', features: ['tags'], unknown: 'defaults' }
  await writeTestBundle(models, {
    ...{ name: 'shop', manifest: { features: listFeatures, entities: { ad } } },
    rows: listCandidates.map((candidate) => ({ ...listContext, ...candidate })),
  })
  const importCells = async (cells: string[], ...args: string[]) => {
    const csv = await file('shop.csv', ['key,tags', ...cells.map((cell, i) => `a${i},${cell}`)].join('\n'))
    return features('import', csv, '--key', 'key', ...args)
  }
  for (const [cells, separator] of [
    [['sport|music', 'a b|c', ''], '|'],
    [['sport;music', 'news'], ';'],
    [['sport', 'news'], '|'],
    [['17', '18'], '|'],
  ] as const)
    t.match(await importCells([...cells]), {
      code: 0,
      stderr: new RegExp(
        `^warning: shop/1 can't use shop/\\d, which has a column "tags" of single values, and the field is a list: import it with --list "tags=\\${separator}"$`,
        'm',
      ),
    })
  t.match(await importCells(['sport;music'], '--list', 'tags=;'), { code: 0, stderr: '' })
  t.match(await importCells(['', '']), { code: 0, stderr: '' }, 'an empty column is one of lists, too')
})

t.test('a path from the working directory may have folders, blanks and any letters', async (t) => {
  await mkdir(join(folder, 'öffentliche Daten'))
  for (const name of ['a b.csv', 'b.csv.gz', 'c.jsonl']) {
    const text = name.endsWith('jsonl') ? '{"id":"k1","price":1}\n' : 'id,price\nk1,1\n'
    const path = join(folder, 'öffentliche Daten', name)
    await writeFile(path, name.endsWith('.gz') ? gzipSync(text) : text)
    const from = relative(process.cwd(), path)
    t.match(await features('import', from, '--key', 'id', '--name', 'paths'), { code: 0 }, name)
  }
  t.match(await features('delta', 'paths', relative(process.cwd(), join(folder, 'öffentliche Daten/a b.csv'))), {
    code: 0,
  })
  const missing = await features('import', 'out/none.csv', '--key', 'id')
  t.match(missing, { code: 1, stderr: /no such file: \/\S+(?<!out)\/out\/none\.csv$/m })
})

t.test('a Parquet file becomes a table, with its lists', async (t) => {
  const path = join(folder, 'p.parquet')
  await writeFile(
    path,
    parquetOfLists([
      { name: 'id', type: 'integers', data: [[7n], [8n]] },
      { name: 'key', type: 'string', data: ['k1', 'k2'] },
      { name: 'price', type: 'double', data: [0.1, null] },
      { name: 'tags', type: 'strings', data: [['a', 'b'], null] },
      { name: 'sizes', type: 'doubles', data: [[], [1.5, 300]] },
    ]),
  )
  t.equal((await features('import', path, '--key', 'key', '--columns', 'price,tags,sizes')).code, 0)
  t.same(
    (await features('get', 'p', 'k1', 'k2')).stdout,
    '{"key":"k1","price":0.1,"tags":["a","b"],"sizes":[]}\n{"key":"k2","price":null,"tags":null,"sizes":[1.5,300]}\n',
  )
  t.match(await features('import', path, '--key', 'id'), { code: 1, stderr: /p\.parquet row 1: the key is a list/ })
})

t.test('versions follow each other, and none is replaced', async (t) => {
  const csv = await file('users.csv', 'user,age\nu1,30\n')
  t.equal((await features('import', csv, '--key', 'user')).code, 0)
  await writeFile(csv, 'user,age\nu1,31\n')
  t.match(await features('import', csv, '--key', 'user'), { code: 0, stdout: /\/users\/2: 1 rows/ })
  t.match((await features('get', 'users', 'u1')).stdout, /"age":31/)
  t.match((await features('get', join(models, '.tables/users/1'), 'u1')).stdout, /"age":30/)
  t.match(await features('import', csv, '--key', 'user', '--table-version', '2'), {
    code: 1,
    stderr: /users\/2 is there already: a version does not change/,
  })
  t.same((await readdir(join(models, '.tables/users'))).sort(), ['1', '2'])
})

t.test('what is wrong is named with its line, and nothing is left', async (t) => {
  const cases: [name: string, text: string, args: string[], message: RegExp][] = [
    [
      'x.csv',
      'id,a\n1,2\n2,3\n1,4\n2,4',
      ['--key', 'id'],
      /x\.csv line 4: id "1" is there already[\s\S]*line 5: id "2"/,
    ],
    ['x.csv', 'id,a\n,2\n1,3', ['--key', 'id'], /x\.csv line 2: the key is empty/],
    ['x.csv', 'id,a\n1,2', ['--key', 'ids'], /has no column "ids"; did you mean "id"\?/],
    ['x.csv', 'id,a\n1,2', ['--key', 'id', '--columns', 'a,b', '--text', 'c'], /no column "b"[\s\S]*no column "c"/],
    ['x.csv', 'id,a\n1', ['--key', 'id'], /line 2 has 1 cells, not 2/],
    ['x.csv', 'id,a', ['--key', 'id'], /has no rows/],
    ['x.csv', 'id,a\n1,1e999', ['--key', 'id'], /x\.csv line 2: a is no finite number: 1e999/],
    ['x.txt', 'id\n1', ['--key', 'id'], /must be a \.csv, \.csv\.gz, \.parquet or \.jsonl file/],
    ['x.jsonl', '{"id":"a"}\n{"id":', ['--key', 'id'], /x\.jsonl line 2: .*JSON/],
    ['x.jsonl', '{"id":"a"}\n\n[1]', ['--key', 'id'], /x\.jsonl line 3 is no JSON object/],
    ['x.jsonl', '{"id":"a","b":{"c":1}}', ['--key', 'id'], /x\.jsonl line 1: b is an object/],
    ['x.jsonl', '{"id":"a","b":[1]}\n{"id":"b","b":1}', ['--key', 'id'], /line 2: b is a list in some lines alone/],
    ['x.jsonl', '{"id":"a","b":[1,"x"]}', ['--key', 'id'], /line 1: b has lists of numbers and of strings/],
    ['x.jsonl', '{"id":"a","b":[[1]]}', ['--key', 'id'], /line 1: b has a list in a list/],
    ['x.jsonl', '{"id":"\\ud800"}', ['--key', 'id'], /line 1: the key has half of a surrogate pair/],
    ['x.jsonl', '{"id":1.5}', ['--key', 'id'], /the key 1\.5 is no integer/],
    ['x.jsonl', '{"id":"a"}', ['--key', 'id', '--name', '../x'], /the table's name must/],
    ['x.jsonl', '{"id":"a"}', ['--key', 'id', '--table-version', '0'], /the table's version must/],
  ]
  for (const [name, text, args, message] of cases)
    t.match(await features('import', await file(name, text), ...args), { code: 1, stderr: message }, `${message}`)
  t.match(await features('import', join(folder, 'none.csv'), '--key', 'id'), { code: 1, stderr: /no such file/ })
  t.match(await features('import', join(folder, 'none.jsonl'), '--key', 'id'), { code: 1, stderr: /no such file/ })
  t.notOk((await readdir(join(models, '.tables'))).includes('x'))
  const doubled = await file('x.csv', 'id,a\n1,2\n2,3\n1,4')
  t.match(await features('import', doubled, '--key', 'id', '--keep', 'last'), {
    code: 0,
    stdout: /2 rows, 1 rows replaced by later ones with their key/,
  })
  t.same((await features('get', 'x', '1', '2')).stdout, '{"id":"1","a":4}\n{"id":"2","a":3}\n')
  await writeFile(join(folder, 'blocked'), '')
  const blocked = ['features', 'import', doubled, '--key', 'id', '--keep', 'last', '--models', join(folder, 'blocked')]
  t.match(await runCli(blocked), { code: 1, stderr: /the table can't be written below .*blocked/ })
})

t.test('an import that is stopped leaves nothing', async (t) => {
  const csv = await file('many.csv', `id\n${Array.from({ length: 40_000 }, (_, i) => i).join('\n')}`)
  const stop = AbortSignal.abort()
  const { code } = await runCli(['features', 'import', csv, '--key', 'id', '--models', models], {}, stop)
  t.not(code, 0)
  t.notOk((await readdir(join(models, '.tables'))).includes('many'))
})

t.test('a table that is damaged is refused by name', async (t) => {
  const csv = await file('d.csv', 'id,a,b\nk,1,x\n')
  const made = await features('import', csv, '--key', 'id')
  t.equal(made.code, 0)
  const version = join(models, '.tables/d/1')
  const description = JSON.parse(await readFile(join(version, 'table.json'), 'utf8'))
  const write = (changed: unknown) => writeFile(join(version, 'table.json'), JSON.stringify(changed))
  const refused = async (message: RegExp) => t.match(await features('get', 'd', 'k'), { code: 1, stderr: message })
  await write({ ...description, format: 2 })
  await refused(/table\.json: \/format /)
  await write({ ...description, rows: 1000 })
  await refused(/d\/1: has \d+ bytes, and is described as having/)
  await write({ ...description, columns: [{ ...description.columns[0], type: 'float64', place: 4 }] })
  await refused(/d\/1: has float64 at byte 4/)
  await writeFile(join(version, 'table.json'), '{')
  await refused(/table\.json: /)
  await write(description)
  await truncate(join(version, 'rows.bin'), 3)
  await refused(/rows\.bin has 3 bytes, and its description says \d+/)
  await mkdir(join(models, '.tables/e'), { recursive: true })
  t.match(await features('stats', 'e'), { code: 1, stderr: /has no table "e"/ })
})

t.test('every row of a file is found, and has its values', async () => {
  const text = fc.string({ unit: 'grapheme', maxLength: 12 })
  const number = fc.oneof(
    fc.integer(),
    fc.integer({ min: -300, max: 300 }),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map(Math.fround).filter(Number.isFinite),
  )
  const row = fc.record(
    {
      text: fc.option(text),
      number: fc.option(number),
      whole: fc.integer({ min: -40_000, max: 40_000 }),
      texts: fc.option(fc.array(text, { maxLength: 3 })),
      numbers: fc.option(fc.array(number, { maxLength: 3 })),
    },
    { requiredKeys: ['whole'] },
  )
  const key = fc.oneof(
    fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }),
    fc.string({ unit: 'binary-ascii', minLength: 1, maxLength: 60 }),
    fc.integer({ min: 0, max: 50 }).map(String),
  )
  let run = 0
  await fc.assert(
    fc.asyncProperty(fc.dictionary(key, row, { minKeys: 1, maxKeys: 30, noNullPrototype: true }), async (rows) => {
      run++
      const lines = Object.entries(rows).map(([id, values]) => JSON.stringify({ id, ...values }))
      const name = `random-${run}`
      const { code, stderr } = await features('import', await file(`${name}.jsonl`, lines.join('\n')), '--key', 'id')
      if (code !== 0) throw new Error(stderr)
      const { table, close } = openTable(join(models, '.tables', name, '1'))
      const keys = Object.keys(rows)
      const found = new Int32Array(keys.length)
      table.findAll(keys, found)
      for (const [i, id] of keys.entries()) {
        if (found[i] !== i || table.find(id) !== i) throw new Error(`${JSON.stringify(id)} is in row ${found[i]}`)
        for (const column of ['text', 'number', 'whole', 'texts', 'numbers'] as const) {
          const reader = table.columns.get(column)
          const value = reader === undefined ? null : cellOf(reader, i)
          const wanted = rows[id]![column] ?? null
          if (JSON.stringify(value) !== JSON.stringify(wanted))
            throw new Error(
              `${column} of ${JSON.stringify(id)} is ${JSON.stringify(value)}, not ${JSON.stringify(wanted)}`,
            )
        }
        for (const other of [`${id} `, id.slice(1), `${id.slice(0, -1)}\ud800`])
          if (!keys.includes(other) && table.find(other) !== -1) throw new Error(`${JSON.stringify(other)} is found`)
      }
      close()
    }),
    { numRuns: randomCases(40), seed: steadySeed },
  )
})

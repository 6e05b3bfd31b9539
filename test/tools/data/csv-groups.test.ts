import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { openCsv } from '../../../src/tools/data/csv.ts'
import type { Cell } from '../../../src/tools/data/source.ts'
import { temporaryFolder } from '../../support/bundle.ts'
import { fc, randomCases } from '../../support/cases.ts'

const folder = await temporaryFolder(t)
const spec = join(folder, 'spec.yaml')

t.test('groups hold the cells of the rows, and their texts', async () => {
  const cell = fc.oneof(fc.stringMatching(/^[ab",\n\r é😀]{0,6}$/u), fc.constantFrom('', '?', 'none', '17'))
  const quoted = (text: string) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text)
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(cell, cell, cell), { maxLength: 150 }), async (table) => {
      const lines = table.map((cells) => `${cells.map(quoted).join(',')},x\n`)
      await writeFile(join(folder, 'rows.csv'), `a,b,c,d\n${lines.join('')}`)
      const source = await openCsv({ csv: ['rows.csv'], separator: ',', trim: false, missing: ['', '?', 'none'] }, spec)
      const rows: Cell[][] = []
      for await (const row of source.rows()) rows.push([row[0], row[2]] as Cell[])
      const grouped: Cell[][] = []
      for await (const { rows: count, columns } of source.groups!(new Set([0, 2])))
        for (let row = 0; row < count; row++)
          grouped.push(
            [0, 2].map((index) => {
              const { at, texts } = { at: columns.get(index)!.at(row), texts: columns.get(index)!.texts! }
              const number = texts.numberOf(row)
              const part = texts.bytes.subarray(texts.starts[number], texts.ends[number])
              const text = number < 0 ? null : Buffer.from(part).toString()
              if (text !== at) throw new Error(`${JSON.stringify(text)} is not ${JSON.stringify(at)}`)
              return at as Cell
            }),
          )
      if (JSON.stringify(grouped) !== JSON.stringify(rows))
        throw new Error(`${JSON.stringify(grouped)} is not ${JSON.stringify(rows)}`)
    }),
    { numRuns: randomCases(100) },
  )
})

t.test('groups name the line of what is wrong', async (t) => {
  for (const [name, bytes, message] of [
    ['short', 'a,b\n1,2\n3\n', /short\.csv: line 3 has 1 cells, not 2/],
    ['latin', Buffer.from('a,b\n1,2\n3,\xe9\n', 'latin1'), /latin\.csv: line 3 is not UTF-8/],
    ['open', 'a,b\n1,"2\n', /open\.csv: line 2 opens a quote/],
    ['nul', 'a,b\n1,2\n"\0",2\n', /nul\.csv: line 3 has a NUL byte/],
  ] as const) {
    await writeFile(join(folder, `${name}.csv`), bytes)
    const source = await openCsv({ csv: [`${name}.csv`], separator: ',', trim: false, missing: [''] }, spec)
    await t.rejects(async () => {
      for await (const _ of source.groups!(new Set([0])));
    }, message)
  }
})

t.test('groups of a file with many columns have many rows: each costs some work for each column', async (t) => {
  const line = Array.from({ length: 2000 }, (_, i) => i).join()
  await writeFile(join(folder, 'wide.csv'), `${line}\n`.repeat(901))
  const source = await openCsv({ csv: ['wide.csv'], separator: ',', trim: false, missing: [''] }, spec)
  const groups: number[] = []
  for await (const { rows } of source.groups!(new Set([7]))) groups.push(rows)
  t.equal(
    groups.reduce((sum, rows) => sum + rows, 0),
    900,
  )
  t.ok(groups.length <= 5, `${groups}`)
})

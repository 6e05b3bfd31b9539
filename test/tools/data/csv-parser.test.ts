import { parse } from 'csv-parse/sync'
import t from 'tap'
import { CsvParser } from '../../../src/tools/data/csv-parser.ts'
import { fc, randomCases } from '../../support/cases.ts'

const plain = { separator: ',', trim: false }

/** Records, with their lines, of bytes that come in pieces of a size. */
function recordsOf(bytes: Buffer | string, options = plain, size = 1000): [line: number, ...cells: string[]][] {
  const whole = Buffer.from(bytes)
  const parser = new CsvParser(options)
  const records: [number, ...string[]][] = []
  for (let at = 0; ; at += size) {
    const last = at >= whole.length
    parser.push(whole.subarray(at, at + size), last)
    for (let record = parser.next(); record; record = parser.next()) records.push([parser.line, ...record])
    if (last) return records
  }
}

const cell = fc.oneof(
  fc.stringMatching(/^[ab",\n\r é😀]{0,6}$/u),
  fc.stringMatching(/^[a-z0-9]{0,80}$/),
  fc.constant('value 17'),
)

t.test('reads what another library reads, in pieces of any size', async (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.array(cell, { minLength: 2, maxLength: 4 }), { maxLength: 20 }),
      fc.constantFrom('\n', '\r\n'),
      fc.constantFrom(',', ';', '\t', '§'),
      fc.integer({ min: 1, max: 40 }),
      fc.boolean(),
      (table, end, separator, size, quoteAll) => {
        const quoted = (text: string) =>
          quoteAll || /["\r\n]/.test(text) || text.includes(separator) ? `"${text.replaceAll('"', '""')}"` : text
        const text = table.map((cells) => cells.map(quoted).join(separator) + end).join('')
        const expected = parse(text, { delimiter: separator, relax_column_count: true, skip_empty_lines: true })
        t.same(
          recordsOf(text, { separator, trim: false }, size).map(([, ...cells]) => cells),
          expected,
        )
      },
    ),
    { numRuns: randomCases(300) },
  )
})

t.test('lines, blank lines, line breaks and the end of the file', async (t) => {
  const text = '\ufeffa,b\n\n"x\r\ny",1\r\n\r\n"q\n\n",2\rz,\r,'
  for (const size of [1, 2, 3, 100])
    t.same(recordsOf(text, plain, size), [
      [1, 'a', 'b'],
      [3, 'x\r\ny', '1'],
      [6, 'q\n\n', '2'],
      [9, 'z', ''],
      [10, '', ''],
    ])
  t.same(recordsOf(''), [])
  t.same(recordsOf('\n\n'), [])
  t.same(recordsOf('a'), [[1, 'a']])
})

t.test('white space is dropped around cells, but not in quotes', async (t) => {
  const text = ' a\t, " b " ,c d \n  \n\t,\n'
  for (const size of [1, 2, 100])
    t.same(recordsOf(text, { separator: ',', trim: true }, size), [
      [1, 'a', ' b ', 'c d'],
      [3, '', ''],
    ])
})

t.test('names the line of what is malformed', async (t) => {
  const cases: [string | Buffer, RegExp][] = [
    ['a\n"b\n', /^line 2 opens a quote that is never closed$/],
    ['a\nb"c\n', /^line 2 has a quote inside a cell that does not begin with one$/],
    ['a\n"b"c\n', /^line 2 has text between a closing quote and the separator/],
    ['a\nb\0c\n', /^line 2 has a NUL byte/],
    ['a\n"b\0c"\n', /^line 2 has a NUL byte/],
    [Buffer.from('a\n\n\xe9t\xe9\n', 'latin1'), /^line 3 is not UTF-8: save the file in that encoding$/],
    [Buffer.from('\ufeffa,b\n', 'utf16le'), /^is in UTF-16: save it in UTF-8$/],
    [Buffer.from('a,b\n', 'utf16le'), /^line 1 has a NUL byte: the file is no text, or none in UTF-8$/],
    [Buffer.of(0x1f, 0x8b, 8, 0), /^is compressed by gzip: give it a name that ends with .gz$/],
    ['{"a":1}\n{"a":2}\n', /^looks like JSON lines or JSON, which are not read: CSV and Parquet are$/],
    ['{ "a": 1 }\n', /^looks like JSON lines/],
    ['[{"a":1}]', /^looks like JSON lines/],
    ['PAR1xxxx', /^is a Parquet file: name it under `parquet`$/],
  ]
  for (const [bytes, message] of cases)
    for (const size of [1, 100]) t.throws(() => recordsOf(bytes, plain, size), { message })
  t.same(recordsOf('\ufffd,é\n'), [[1, '\ufffd', 'é']], 'a replacement character that is in the file')
})

t.test('refuses a record that goes on and on', async (t) => {
  for (const part of ['x', 'x,', '"'])
    t.throws(() => recordsOf(`a,b\n"${part.repeat(6_000_000 / part.length)}`, plain, 2 ** 18), {
      message: 'line 2 is longer than 4 MiB: a quote may be open, or the file is no CSV',
    })
})

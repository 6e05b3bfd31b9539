import t from 'tap'
import { columnOf, MemoryCheck, NumberColumn, StringColumn } from '../../../src/tools/data/columns.ts'
import { SpecError } from '../../../src/tools/data/source.ts'
import { fc } from '../../support/cases.ts'

t.test('columns keep what is pushed, missing values too', async () => {
  const cells = fc.oneof(
    fc.array(fc.option(fc.string({ maxLength: 3 }))),
    fc.array(fc.option(fc.double({ noNaN: true, noDefaultInfinity: true }))),
  )
  fc.assert(
    fc.property(cells, (values) => {
      const column = columnOf(values)
      return column.length === values.length && values.every((value, row) => Object.is(column.at(row), value))
    }),
  )
})

t.test('beyond a block of rows', async (t) => {
  const numbers = new NumberColumn()
  const strings = new StringColumn()
  const rows = 150_000
  for (let row = 0; row < rows; row++) {
    numbers.push(row % 7 === 0 ? null : row)
    strings.push(row % 5 === 0 ? null : `v${row % 11}`)
  }
  t.same([numbers.at(65_535), numbers.at(65_536), numbers.at(131_073)], [65_535, 65_536, 131_073])
  t.equal(strings.at(131_072), `v${131_072 % 11}`)
  t.equal(strings.codeAt(65_535), -1)
  t.equal(strings.values.length, 11)
  const flat = numbers.flat()
  t.same([flat.length, flat[149_999], Number.isNaN(flat[7])], [rows, 149_999, true])
  t.same([numbers.bytes.rows, strings.bytes.rows], [4 * rows, rows], 'in few bytes')
})

t.test('says that rows will not fit before they do not', async (t) => {
  const check = new MemoryCheck(1_000_000)
  const taken = { rows: 10_000, values: 2_000 }
  check.check(1000, 0.5, taken, { file: 'rows.yaml' })
  t.throws(() => check.check(1000, 0.005, taken, { file: 'rows.yaml' }), SpecError)
  t.throws(() => check.check(1000, 0.005, taken, { file: 'rows.yaml' }), {
    message: /\/data about 200,000 rows would take 1\.9 MiB of memory, and 976\.6 KiB are available/,
  })
  t.throws(() => check.check(1000, 0.005, taken, { file: 'rows.yaml', sample: 0.5 }), {
    message: /give fewer rows \(data\.sample: 0\.2\), or more memory/,
  })
  check.check(1000, 0.5, { rows: 0, values: 900_000 }, { file: 'rows.yaml' })
})

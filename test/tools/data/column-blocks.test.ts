import t from 'tap'
import { Blocks, blockRows, KeptRows } from '../../../src/base/column-blocks.ts'
import { NumberColumn, StringColumn } from '../../../src/tools/data/columns.ts'
import { fc, randomCases } from '../../support/cases.ts'

t.test('each block takes as few bytes as its values allow', async (t) => {
  const strings = new StringColumn()
  const numbers = new NumberColumn()
  const first = [1, -0, 16_777_217, 0.1]
  for (let row = 0; row < blockRows; row++) {
    strings.push(`v${row}`)
    numbers.push(first[row] ?? row)
  }
  t.same([strings.bytes.rows, numbers.bytes.rows], [4 * blockRows, 8 * blockRows], 'code 65,536 needs 4 bytes')
  for (let row = 0; row < 10; row++) {
    strings.push(row < 5 ? 'v1' : `v${row + 250}`)
    numbers.push(row / 2)
  }
  t.same([strings.bytes.rows, numbers.bytes.rows], [4 * blockRows + 20, 8 * blockRows + 40])
  t.same(
    [strings.at(255), strings.at(65_535), strings.at(65_536), strings.at(65_545)],
    ['v255', 'v65535', 'v1', 'v259'],
  )
  for (const [row, value] of first.entries()) t.ok(Object.is(numbers.at(row), value), `${value}`)
  t.equal(numbers.at(65_537), 0.5)
})

t.test('rows that are kept stay, others are refused', async () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 140_000 }), { maxLength: 20 }), fc.boolean(), (rows, all) => {
      const strings = new StringColumn()
      const numbers = new NumberColumn()
      const marks = new Uint8Array(140_001)
      for (let row = 0; row < marks.length; row++) {
        strings.push(row % 9 === 0 ? null : `v${row % 300}`)
        numbers.push(row % 8 === 0 ? null : row / 3)
        // A block of which all rows are kept.
        if (all && row < blockRows) marks[row] = 1
      }
      for (const row of rows) marks[row] = 1
      const kept = new KeptRows(marks)
      for (let block = 0; block < 3; block++) for (const column of [strings, numbers]) column.keep(kept, block)
      for (const row of [...rows, 0, 1, 65_534, 65_535, 65_536, 140_000]) {
        if (marks[row] === 0) {
          for (const column of [strings, numbers]) if (!refuses(() => column.at(row))) return false
        } else if (strings.at(row) !== (row % 9 === 0 ? null : `v${row % 300}`)) return false
        else if (numbers.at(row) !== (row % 8 === 0 ? null : row / 3)) return false
      }
      return true
    }),
    { numRuns: randomCases(20) },
  )
})

function refuses(read: () => unknown): boolean {
  try {
    read()
    return false
  } catch (error) {
    return /was let go/.test(String(error))
  }
}

t.test('a block of integers is widened for -0 and NaN, however they are added', async (t) => {
  for (const value of [-0, Number.NaN]) {
    const [together, single] = [0, 1].map(() => new Blocks([Uint8Array, Float64Array]))
    together!.append(Float64Array.of(value, 7))
    for (const number of [value, 7]) single!.push(number)
    for (const blocks of [together!, single!])
      t.same([Object.is(blocks.at(0), value), blocks.at(1), blocks.bytes], [true, 7, 16])
  }
})

t.test('values that are added together are those that are added one by one', async () => {
  const some = fc.oneof(fc.nat({ max: 300 }), fc.double(), fc.double().map(Math.fround), fc.integer())
  const part = fc
    .tuple(some, some, fc.integer({ min: 1, max: 40_000 }))
    .map(([first, other, length]) => new Float64Array(length).fill(first).fill(other, Math.floor(length / 2)))
  fc.assert(
    fc.property(fc.array(part, { maxLength: 8 }), fc.nat({ max: 70_000 }), (parts, from) => {
      for (const widths of [
        [Float32Array, Float64Array],
        [Uint8Array, Uint16Array, Float64Array],
      ]) {
        const [together, single] = [new Blocks(widths), new Blocks(widths)]
        for (const values of parts) {
          together.append(values)
          for (const value of values) single.push(value)
        }
        const first = Math.min(from, single.length)
        const rows = Float64Array.from({ length: single.length - first }, (_, i) => single.at(first + i))
        const copied = together.copyTo(new Float64Array(rows.length), first)
        if (together.length !== single.length || together.bytes !== single.bytes) throw new Error('another size')
        if (!rows.every((value, i) => Object.is(value, copied[i]))) throw new Error('other values')
      }
    }),
    { numRuns: randomCases(20) },
  )
})

import t from 'tap'
import { formatBytes, formatError, formatTable, grouped } from '../../src/base/terminal.ts'

t.test('columns stand below each other, words to the left and numbers to the right', async (t) => {
  t.same(
    formatTable(
      ['plan', 'µs'],
      [
        ['exported', '1,234'],
        ['int8', '9'],
      ],
    ).split('\n'),
    ['plan         µs', '────────  ─────', 'exported  1,234', 'int8          9'],
  )
})

t.test('numbers for people', async (t) => {
  t.same([0, 1023, 1024, 12_582_912, 5 * 2 ** 30, 3 * 2 ** 42].map(formatBytes), [
    '0 B',
    '1023 B',
    '1.0 KiB',
    '12.0 MiB',
    '5.0 GiB',
    '12288.0 GiB',
  ])
  t.same([0, 6e-8, 0.012].map(formatError), ['0', '6.0e-8', '1.2e-2'])
  t.equal(grouped(1234567.8), '1,234,568')
})

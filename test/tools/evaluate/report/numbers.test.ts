import t from 'tap'
import {
  count,
  decimal,
  interval,
  percent,
  signedInterval,
  time,
} from '../../../../src/tools/evaluate/report/base/numbers.ts'

t.test('decimals', async (t) => {
  t.equal(decimal(0.79016, 4), '.7902')
  t.equal(decimal(1.0213, 3), '1.021')
  t.equal(decimal(-0.0031, 4), '−.0031')
  t.equal(decimal(0, 4), '0')
  t.equal(decimal(0.99996, 4), '1.0000')
  t.equal(decimal(0.0000123, 5), '.000012', 'small values keep two digits')
  t.equal(decimal(null, 4), '–')
  t.equal(decimal(undefined, 4), '–')
})

t.test('intervals', async (t) => {
  t.equal(interval({ value: 0.7902, low: 0.7841, high: 0.7963 }, 4), '.7902 (.7841 … .7963)')
  t.equal(interval({ value: 0.7902, low: null, high: null }, 4), '.7902')
  t.equal(interval({ value: null, low: null, high: null }, 4), '–')
  t.equal(signedInterval({ value: 0.0031, low: -0.0012, high: 0.005 }, 4), '+.0031 (−.0012 … +.0050)')
  t.equal(
    signedInterval({ value: -0.00002, low: -0.0012, high: 0.005 }, 4),
    '0 (−.0012 … +.0050)',
    'digits far below the width mean nothing',
  )
})

t.test('shares, counts and times', async (t) => {
  t.equal(percent(0.021), '2.10\u00a0%')
  t.equal(percent(0.5), '50.0\u00a0%')
  t.equal(percent(1), '100\u00a0%')
  t.equal(percent(0.000012), '0.0012\u00a0%')
  t.equal(percent(0), '0\u00a0%')
  t.equal(percent(null), '–')
  t.equal(count(1234567), '1,234,567')
  t.equal(time('2025-03-04T09:30:12.345Z'), '2025-03-04 09:30 UTC')
  t.equal(time('yesterday'), 'yesterday')
})

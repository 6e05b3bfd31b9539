import t from 'tap'
import type { Call } from '../../../loadtest/chaos/accounts.ts'
import { fitMemory } from '../../../loadtest/chaos/memory.ts'
import { parseTcpTable } from '../../../loadtest/chaos/processes.ts'
import { countBySecond, drawTimeline } from '../../../loadtest/chaos/timeline.ts'

t.test('memory is a line through the samples after the first tenth, without those of missing processes', async (t) => {
  const samples = Array.from({ length: 101 }, (_, i) => ({ at: i * 1000, bytes: 500 + i, whole: true }))
  t.match(fitMemory(samples, 100_000), { samples: 91, from: 10_000, to: 100_000 })
  const { level, growth } = fitMemory(samples, 100_000)!
  t.ok(Math.abs(level - 510) < 1e-9 && Math.abs(growth - 90) < 1e-9)
  const wild = samples.map((one, i) =>
    i < 10 ? { ...one, bytes: 1e6 } : i % 7 ? one : { ...one, bytes: 0, whole: false },
  )
  t.ok(Math.abs(fitMemory(wild, 100_000)!.growth - 90) < 2)
  t.equal(fitMemory(samples.slice(0, 12), 100_000), undefined)
})

t.test('connections are read as the kernel writes them', async (t) => {
  const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 26 1 000000 100 0 0 10 0
   1: 0100007F:0BB8 0100007F:D431 01 00000000:00000000 02:0000 00000000     0        0 97531 2 0000 20 4 30 10 -1
`
  t.same(parseTcpTable(table), [
    { localPort: 3000, remotePort: 0, inode: 26 },
    { localPort: 3000, remotePort: 54321, inode: 97531 },
  ])
})

const call = (at: number, outcome: Call['outcome']): Call => {
  return { at, end: at + 20, outcome, reason: '', port: 1, duplicates: 0 }
}

t.test('the picture counts by the second, and has a bar for each fault', async (t) => {
  const calls = [
    call(100, 'right'),
    call(200, 'refused'),
    call(1500, 'lost'),
    call(1600, 'late'),
    call(1700, 'not sent'),
  ]
  t.match(countBySecond(calls, 2), [
    { sent: 2, right: 1, refused: 1, lost: 0, p99: 20 },
    { sent: 2, right: 1, refused: 0, lost: 1, p99: 20 },
  ])
  const svg = await drawTimeline({
    calls,
    events: [
      { kind: 'swap', at: 100, end: 900, what: 'version 2 < 3 & more' },
      { kind: 'clock jump', at: 1000, end: 1001, what: '' },
    ],
    memory: [{ at: 0, bytes: 2 ** 20, whole: true }],
    stop: { at: 1800, end: 1900, how: 0 },
  })
  t.same(svg.match(/(?<=aria-label=")[^"]+(?=" [^>]*roledescription="bar")/g), [
    'version 2 &lt; 3 &amp; more',
    'clock jump',
  ])
  t.notMatch(svg, /NaN|undefined|Infinity/)
  t.match(svg, />SIGTERM</)
})

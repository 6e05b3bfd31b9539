import t from 'tap'
import { isQuick } from '../../../src/server/body/read-json.ts'

const quick = (json: string) => isQuick(Buffer.from(json), json.length)
const names = (count: number) => `{${Array.from({ length: count }, (_, i) => `"k${i}":0`).join()}}`

t.test('usual requests are parsed in the event loop, costly ones are not', async (t) => {
  const candidate = { id: 'a', campaign: 'c9', price: 1.25, bid: 1 }
  const rows = (count: number) => JSON.stringify({ candidates: Array(count).fill(candidate) })
  t.ok(quick(rows(10)))
  t.ok(quick(rows(5000)))
  t.notOk(quick(rows(10_000)), 'it is large')
  t.ok(quick(names(500)))
  t.ok(quick(names(1500)), 'it is tiny')
  t.notOk(quick(names(20_000)), 'it has many names')
  t.notOk(quick(`[${Array(30_000).fill('{}').join()}]`), 'it has many objects')
})

t.test('bytes behind the JSON part do not count', async (t) => {
  const json = Buffer.from('{"inputs":[]}')
  t.ok(isQuick(Buffer.concat([json, Buffer.alloc(2 ** 20, names(2000))]), json.length))
})

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { readContents, readRequests, writeRequests } from '../../loadtest/request-file.ts'

t.test('requests are read as they were written: with a first line of the server, or in parts', async (t) => {
  const file = join(t.testdir(), 'requests')
  const contents = [
    { headers: { 'content-type': 'application/json' }, body: Buffer.from('{"a":"ü"}') },
    {
      headers: { 'content-type': 'application/octet-stream', 'x-length': '2' },
      body: Buffer.from('{}\r\n\r\n\0\xff', 'latin1'),
    },
    { headers: { 'content-type': 'application/json' }, body: Buffer.alloc(3_000_000, 'x') },
  ]
  t.same(await writeRequests(file, contents), { count: 3, meanBytes: (10 + 8 + 3_000_000) / 3 })
  const bytes = await readFile(file)
  t.same(readContents(bytes), contents)
  const requests = readRequests(bytes, '/predict', { 'x-deadline-ms': '60' })
  t.equal(
    requests[0]!.toString(),
    'POST /predict HTTP/1.1\r\nx-deadline-ms: 60\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 10\r\n\r\n{"a":"ü"}',
  )
  t.equal(requests.length, 3)
})

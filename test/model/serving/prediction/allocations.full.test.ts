import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { temporaryFolder, writeTestBundle } from '../../../support/bundle.ts'

const models = await temporaryFolder(t)
await writeTestBundle(models)

/**
 * Bytes of memory that a request takes from its body to its answer; a young generation this large is never collected.
 */
async function allocations(rows: number): Promise<{ collections: number; heapBytes: number; bufferBytes: number }> {
  const { stdout } = await promisify(execFile)(process.execPath, [
    '--expose-gc',
    '--min-semi-space-size=256',
    '--max-semi-space-size=256',
    join(import.meta.dirname, '../../../support/allocations.js'),
    models,
    String(rows),
  ])
  return JSON.parse(stdout)
}

// About half as much again as it takes: what is allocated by row or by value, and needn't be, shows at once.
t.test('a request of one row takes little memory', async (t) => {
  const { collections, heapBytes, bufferBytes } = await allocations(1)
  t.equal(collections, 0)
  t.ok(heapBytes < 30_000, `${heapBytes} bytes of objects`)
  t.ok(bufferBytes < 1000, `${bufferBytes} bytes of buffers`)
})

t.test('ninety-nine rows more take less than three hundred bytes each, and no array of their own', async (t) => {
  const [one, hundred] = [await allocations(1), await allocations(100)]
  t.ok(hundred.heapBytes - one.heapBytes < 99 * 300, `${hundred.heapBytes} bytes of objects`)
  t.ok(hundred.bufferBytes - one.bufferBytes < 99 * 160, `${hundred.bufferBytes} bytes of buffers`)
})

import t from 'tap'
import { pendingBytesOf } from '../../src/base/settings.ts'

const mebibyte = 2 ** 20
const automatic = (memory: number) => pendingBytesOf({ MULTIGATE_MAX_PENDING_BYTES: 0 }, memory)

t.test('clients may hold an eighth of the memory limit, within bounds, unless a number is configured', async (t) => {
  t.equal(automatic(1024 * mebibyte), 128 * mebibyte)
  t.equal(automatic(64 * mebibyte), 16 * mebibyte)
  t.equal(automatic(2 ** 64), 256 * mebibyte, 'no limit')
  t.equal(pendingBytesOf({ MULTIGATE_MAX_PENDING_BYTES: 5 }, 1024 * mebibyte), 5)
})

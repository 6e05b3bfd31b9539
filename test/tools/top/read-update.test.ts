import t from 'tap'
import { readUpdate } from '../../../src/tools/top/follow-live.ts'

t.test('what is no update is told in one line, without passwords', async (t) => {
  const { unreadable } = readUpdate('x a://me:secret@h') as { unreadable: string }
  t.match(unreadable, /JSON/)
  t.notMatch(unreadable, /secret/)
  t.match(readUpdate('{}'), { unreadable: /^\/?\w+ / })
})

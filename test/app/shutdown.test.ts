import t from 'tap'
import { createSignalActions } from '../../src/app/shutdown.ts'

t.test('the first signal stops, a copy of it does nothing, and a second one ends', async (t) => {
  let now = 1000
  const actionOf = createSignalActions(() => now)
  t.equal(actionOf('SIGINT'), 'stop')
  now += 100
  t.equal(actionOf('SIGINT'), undefined, 'npm passes it on')
  t.equal(actionOf('SIGHUP'), 'end', 'another signal is no copy')
  now += 200
  t.equal(actionOf('SIGINT'), 'end')
})

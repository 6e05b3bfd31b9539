import t from 'tap'
import { runThread, ThreadFailure } from '../../src/base/one-shot-thread.ts'
import { emitErrorFirst } from '../support/error-first.ts'

const script = (code: string) =>
  new URL(
    `data:text/javascript,${encodeURIComponent(`import { parentPort } from 'node:worker_threads'
    ${code}
    throw new Error('out of memory')`)}`,
  )

t.test('a result counts where the error of its thread arrives first', async (t) => {
  emitErrorFirst(t, (message) => message === 'the result')
  t.equal(await runThread(script(`parentPort.postMessage('the result')`), {}), 'the result')
})

t.test('a thread that dies without a result fails with its error', async (t) => {
  await t.rejects(runThread(script(''), {}), new ThreadFailure('out of memory'))
})

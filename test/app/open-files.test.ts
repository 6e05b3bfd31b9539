import t from 'tap'
import { openFilesProblem } from '../../src/app/start.ts'
import { checkConfiguration } from '../../src/base/configuration.ts'

t.test('each process needs files of its own, and one for each of its connections', async (t) => {
  const configuration = checkConfiguration({ MULTIGATE_MAX_CONNECTIONS: '2000' })
  t.equal(openFilesProblem(configuration, 2400), undefined)
  t.match(openFilesProblem(configuration, 2399), /^the limit of open files is 2399, .*=2000 needs 2400: /)
  for (const [processes, needed] of [
    ['auto', 2400],
    ['4', 900],
  ] as const) {
    const shared = checkConfiguration({ MULTIGATE_MAX_CONNECTIONS: '2000', MULTIGATE_PROCESSES: processes })
    t.equal(openFilesProblem(shared, needed), undefined)
    t.type(openFilesProblem(shared, needed - 1), 'string')
  }
  t.equal(openFilesProblem(configuration, Number.POSITIVE_INFINITY), undefined)
})

import t from 'tap'
import { checkResumed, histories, lists } from '../../support/resumed.ts'

for (const [threads, changes, title] of [
  [2, {}, '2 threads'],
  [1, lists, '1 thread, with lists'],
  [1, histories, '1 thread, with histories'],
] as const)
  t.test(`a killed run goes on, and ends with the weights of one that was not, on ${title}`, (t) =>
    checkResumed(t, threads, changes),
  )

// Thread: reads the source of a table, for read-ahead.ts.
import { once } from 'node:events'
import { parentPort, workerData } from 'node:worker_threads'
import { reasonOf } from '../../base/errors.ts'
import { SpecError } from '../data/source.ts'
import { GroupMemory, GroupPacker } from './packed-group.ts'
import type { SourceMessage, SourceThreadData } from './read-ahead.ts'
import { openTableSource } from './table-source.ts'

const { file, lists, wanted, places, answered } = workerData as SourceThreadData
const main = parentPort!
const post = (message: SourceMessage) => main.postMessage(message)

/** The memory of groups that the main thread has, or will have next. */
const memories = Array.from({ length: 3 }, () => new GroupMemory())
let untaken = 0

try {
  const { source } = await openTableSource({ file, lists, here: true })
  // The main thread waits for the answer, and can receive no event.
  places.on('message', (row: number) => {
    places.postMessage(source.place(row))
    Atomics.store(answered, 0, 1)
    Atomics.notify(answered, 0)
  })
  main.on('message', () => untaken--)
  const packer = new GroupPacker()
  for await (const group of source.groups!(wanted)) {
    while (untaken === memories.length) await once(main, 'message')
    const memory = memories.shift()!
    memories.push(memory)
    memory.reset()
    untaken++
    post({ kind: 'group', group: packer.pack(group, memory), progress: source.progress() })
  }
  post({ kind: 'end' })
} catch (error) {
  post({ kind: 'failed', message: reasonOf(error), ...(error instanceof SpecError && { problems: error.problems }) })
}

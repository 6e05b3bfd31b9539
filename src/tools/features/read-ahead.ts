import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads'
import { reasonOf, type Violation } from '../../base/errors.ts'
import { threadOptions } from '../../base/process.ts'
import { type RowGroup, type Source, SpecError } from '../data/source.ts'
import { type PackedGroup, unpack } from './packed-group.ts'

/** The thread's work. */
export interface SourceThreadData {
  file: string
  lists: ReadonlyMap<string, string>
  wanted: ReadonlySet<number>
  /** Receives the numbers of rows, and answers their places, for messages. */
  places: MessagePort
  /** 1 once a place has been answered. */
  answered: Int32Array
}

export type SourceMessage =
  | { kind: 'group'; group: PackedGroup; progress: number | undefined }
  | { kind: 'end' }
  | { kind: 'failed'; message: string; problems?: Violation[] }

const script = new URL('./source-thread.js', import.meta.url)

/** Most garbage is young: half as many collections as by default keep the thread from falling behind. */
const resourceLimits = { maxYoungGenerationSizeMb: 128 }

/** Longest wait for the place of a row, ms. */
const patience = 10_000

/**
 * The same source, whose groups a thread of its own reads, and reads their texts as numbers or hashes them: the calling
 * thread only adds them. `file`, `lists`: those of `openTableSource`.
 */
export function readAhead(source: Source, { file, lists }: Pick<SourceThreadData, 'file' | 'lists'>): Source {
  let progress: number | undefined = 0
  let placeOf = rowAlone

  async function* groups(wanted: ReadonlySet<number>): AsyncGenerator<RowGroup> {
    const { port1: asked, port2: places } = new MessageChannel()
    const answered = new Int32Array(new SharedArrayBuffer(4))
    const workerData: SourceThreadData = { file, lists, wanted, places, answered }
    const thread = new Worker(script, { ...threadOptions(), workerData, transferList: [places], resourceLimits })
    placeOf = (row) => {
      Atomics.store(answered, 0, 0)
      asked.postMessage(row)
      Atomics.wait(answered, 0, 0, patience)
      return (receiveMessageOnPort(asked)?.message as string | undefined) ?? rowAlone(row)
    }
    try {
      for await (const message of messagesOf(thread)) {
        if (message.kind === 'end') return
        if (message.kind === 'failed')
          throw message.problems ? new SpecError(file, message.problems) : new Error(message.message)
        ;({ progress } = message)
        yield unpack(message.group)
        thread.postMessage('taken')
      }
    } finally {
      placeOf = rowAlone
      asked.close()
      await thread.terminate()
    }
  }

  return { ...source, groups, place: (row) => placeOf(row), progress: () => progress }
}

/** The place of a row, where its thread does not say more. */
const rowAlone = (row: number) => `row ${row + 1}`

/** Messages of a thread, in order. Rejects where it ends. */
async function* messagesOf(thread: Worker): AsyncGenerator<SourceMessage> {
  const received: SourceMessage[] = []
  let problem: string | undefined
  let wake = () => {}
  thread.on('message', (message: SourceMessage) => {
    received.push(message)
    wake()
  })
  const fail = (reason: string) => {
    problem ??= reason
    wake()
  }
  thread.once('error', (error) => fail(reasonOf(error)))
  thread.once('exit', (code) => fail(`exit code ${code}`))
  for (;;) {
    const message = received.shift()
    if (message) yield message
    else if (problem !== undefined) throw new Error(`the thread that reads the file ended: ${problem}`)
    else
      await new Promise<void>((resolve) => {
        wake = resolve
      })
  }
}

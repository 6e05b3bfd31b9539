import { connect } from 'node:net'
import { connect as secure } from 'node:tls'
import { readBundle } from '../../src/model/serving/version/read-version.ts'
import { readAnswers } from '../../test/support/fuzz/answers.ts'
import { drawCase, type GoodKinds } from '../../test/support/fuzz/cases.ts'
import { createKinds } from '../../test/support/fuzz/good-payloads.ts'
import { type Dial, type Outcome, play } from '../../test/support/fuzz/play.ts'
import type { HostileOptions, HostileReport } from './hostile.ts'

/*
 * The hostile clients of the fuzz test, over TLS, in a process of their own: `play` from the parent lets them begin,
 * `pause` makes them leave. They report each block's cases.
 */

/** Clients at a time. */
const together = 4

const options = JSON.parse(process.argv[2]!) as HostileOptions
const { manifest } = await readBundle(options.models, 'ads-funnel', '1')
const kinds: GoodKinds = createKinds(manifest.golden!.rows)
let index = 0
let isPlaying = false

const dial: Dial = (port) => {
  const tcp = connect(port, '127.0.0.1')
  const socket = secure({ socket: tcp, ca: options.authority, servername: 'localhost' })
  tcp.on('error', (error) => socket.destroy(error))
  // A TLS socket can't be reset itself.
  socket.resetAndDestroy = () => {
    tcp.resetAndDestroy()
    return socket.destroy()
  }
  return socket
}

async function playBlock(): Promise<HostileReport> {
  const report: HostileReport = { cases: 0, answers: {}, faults: [] }
  const held: Outcome[] = []
  await Promise.all(
    Array.from({ length: together }, async () => {
      while (isPlaying) {
        const one = drawCase(options.seed, index++, {}, kinds, [`x-api-key: ${options.key}`])
        const outcome = await Promise.race([play(options.port, one, dial), new Promise<void>(onPause)])
        // It waits for an answer, or to be read: a client that hangs.
        if (outcome === undefined) return
        report.cases++
        if (!one.complete) held.push(outcome)
        read(outcome, report)
      }
    }),
  )
  await Promise.all(held.map(({ release }) => release()))
  return report
}

/** Counts the answers; a fault is one that is no HTTP, and an error of the server's own. */
function read(outcome: Outcome, report: HostileReport): void {
  const { answers, fault } = readAnswers(outcome.text())
  if (fault !== undefined) report.faults.push(`${outcome.case.name}: ${fault}`)
  for (const { status, text } of answers) {
    report.answers[status] = (report.answers[status] ?? 0) + 1
    // TensorFlow Serving's form has no codes.
    if (status === 500 && !/"MODEL_FAILED"|worker thread died/.test(text))
      report.faults.push(`${outcome.case.name}: 500 ${text}`)
  }
}

const waiting = new Set<() => void>()
function onPause(callback: () => void): void {
  if (isPlaying) waiting.add(callback)
  else callback()
}

process.on('message', (message) => {
  if (message === 'play') {
    isPlaying = true
    playBlock().then((report) => process.send?.(report))
  } else if (message === 'pause') {
    isPlaying = false
    for (const callback of waiting) callback()
    waiting.clear()
  }
})
process.on('disconnect', () => process.exit())
process.send?.('ready')

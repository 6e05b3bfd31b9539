// Tries to lose an answer: swaps versions, kills, freezes and fills up what it can under load, and compares every
// answer with ONNX Runtime's.

import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { experiment } from '../experiment.ts'
import { faultKinds } from './plan.ts'
import { toMarkdown } from './report.ts'
import { runChaos } from './run.ts'
import { drawTimeline } from './timeline.ts'
import { judgeRun } from './verdict.ts'

/** Runs chaos and writes the report. Fails, after that, with all that went wrong. */
export default experiment({
  description:
    'Kill, freeze, fill up and confuse a server under load; exit with 1 if an answer is lost, wrong or answered twice, or memory grows',
  options: {
    minutes: ['<number>', 'length of the load until SIGTERM', Number, 3],
    swaps: ['<number>', 'version swaps', Number, 20],
    seed: ['<number>', 'seed of the requests, their times and the faults', Number, 1],
    rate: ['<number>', 'requests per second; three times as many in bursts', Number, 150],
  },
  out: 'also write the report here, and its picture next to it',
  async run({ minutes, swaps, seed, rate }, { machine, log, picture }) {
    const run = await runChaos({ seconds: minutes * 60, swaps, seed, rate, kinds: faultKinds, log })
    const verdict = judgeRun(run)
    const found = { text: toMarkdown(run, verdict, machine, picture), picture: () => drawTimeline(run) }
    const { violations } = verdict
    if (violations.length === 0) return found
    const file = join(tmpdir(), `multigate-chaos-${process.pid}.log`)
    await writeFile(file, run.serverLog)
    const failure = `${violations.length} promises were broken (the server's log is ${file}):\n${violations.join('\n')}`
    return { ...found, failure }
  },
})

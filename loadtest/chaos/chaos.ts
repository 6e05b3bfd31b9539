// Tries to lose an answer: swaps versions, kills, freezes and fills up what it can under load, and compares every
// answer with ONNX Runtime's.
//   npm run loadtest -- chaos [--minutes 3] [--swaps 20] [--seed 1] [--rate 150] [--out loadtest/results/chaos.md]

import { mkdir, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { Command } from 'commander'
import type { Machine } from '../machine.ts'
import { faultKinds } from './plan.ts'
import { toMarkdown } from './report.ts'
import { runChaos } from './run.ts'
import { drawTimeline } from './timeline.ts'
import { judgeRun } from './verdict.ts'

interface Options {
  minutes: number
  swaps: number
  seed: number
  rate: number
  out?: string
}

/** Runs chaos and writes the report. Rejects, after that, with all that went wrong. */
export async function measureChaos(
  argv: readonly string[],
  machine: Machine,
  log: (line: string) => void,
): Promise<void> {
  const { minutes, swaps, seed, rate, out } = new Command('npm run loadtest -- chaos')
    .description(
      'Kill, freeze, fill up and confuse a server under load; exit with 1 if an answer is lost, wrong or answered twice, or memory grows',
    )
    .option('--minutes <number>', 'length of the load until SIGTERM', Number, 3)
    .option('--swaps <number>', 'version swaps', Number, 20)
    .option('--seed <number>', 'seed of the requests, their times and the faults', Number, 1)
    .option('--rate <number>', 'requests per second; three times as many in bursts', Number, 150)
    .option('--out <file.md>', 'also write the report here, and its picture next to it')
    .parse(argv, { from: 'user' })
    .opts<Options>()
  const run = await runChaos({ seconds: minutes * 60, swaps, seed, rate, kinds: faultKinds, log })
  const verdict = judgeRun(run)
  const picture = out === undefined ? undefined : out.replace(/(\.md)?$/, '.svg')
  const text = toMarkdown(run, verdict, machine, picture && basename(picture))
  console.log(text)
  if (out !== undefined && picture !== undefined) {
    await mkdir(dirname(out), { recursive: true })
    await writeFile(out, text)
    await writeFile(picture, drawTimeline(run))
  }
  const { violations } = verdict
  if (violations.length === 0) return
  const file = join(tmpdir(), `multigate-chaos-${process.pid}.log`)
  await writeFile(file, run.serverLog)
  throw new Error(`${violations.length} promises were broken (the server's log is ${file}):\n${violations.join('\n')}`)
}

import type { ReplayReport } from '../../src/tools/replay/describe.ts'
import { type RunReplayOptions, runReplay } from '../../src/tools/replay/run-replay.ts'

type Needed = 'log' | 'models' | 'model' | 'against'

/** Replays a log in this process; with the report and the exit code. */
export async function replayOf(
  options: Pick<RunReplayOptions, Needed> & Partial<RunReplayOptions>,
): Promise<{ report: ReplayReport; code: number }> {
  const out: string[] = []
  const code = await runReplay({
    ...{ slices: [], seed: 1, json: true, sample: 1, skipDamaged: false },
    ...{ service: undefined, cache: process.env.MULTIGATE_CACHE, threads: 1 },
    ...{ command: 'multigate replay', multigateVersion: '0.0.0', now: () => 0, signal: new AbortController().signal },
    ...{ out: { write: (text: string) => out.push(text) }, err: { write: () => true } },
    ...options,
  })
  return { report: JSON.parse(out.join('')), code }
}

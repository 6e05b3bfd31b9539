import { ModelError } from '../../base/errors.ts'
import { createUniform } from '../../base/hash.ts'
import { showProgress, type Terminal } from '../../base/terminal.ts'
import { type BenchOptions, bench } from './bench.ts'
import { formatBench } from './bench-report.ts'
import type { ColumnChoice } from './columns.ts'
import { formatCompile, reportCompile } from './compile-report.ts'
import { openTarget } from './target.ts'

export interface CommonOptions {
  /** Path of an ONNX file, folder of a version or a model, or a model's name. */
  target: string
  models: string
  context: ColumnChoice | undefined
  cross: ColumnChoice | undefined
  output: string | undefined
  cache: string | undefined
  json: boolean
  seed: number
  signal: AbortSignal
  out: Terminal
  err: Terminal
}

/** `multigate bench` */
export async function runBench(
  options: CommonOptions & Pick<BenchOptions, 'rows' | 'requests' | 'seconds' | 'threads'>,
): Promise<void> {
  const { rows, requests, seconds, threads, json, signal, out } = options
  const random = createUniform(options.seed)
  const target = await openTarget(options.target, { ...options, random })
  const now = () => performance.now()
  const progress = showProgress(options.err)
  const report = await bench(target, { rows, requests, seconds, threads, random, now, signal, progress })
  progress('')
  out.write(json ? `${JSON.stringify(report, undefined, 2)}\n` : `${formatBench(report)}\n`)
}

/** `multigate compile`. Rejects with MODEL_FAILED if the plan could not be stored. */
export async function runCompile(options: CommonOptions & { report: boolean; rows: number }): Promise<void> {
  const { report, rows, json, cache, signal, out } = options
  const random = createUniform(options.seed)
  const target = await openTarget(options.target, { ...options, random })
  const now = () => performance.now()
  const progress = showProgress(options.err)
  const compiled = await reportCompile(target, { report, rows, cache, random, now, signal, progress })
  progress('')
  out.write(json ? `${JSON.stringify(compiled, undefined, 2)}\n` : `${formatCompile(compiled)}\n`)
  if (compiled.compiled && cache !== undefined && compiled.kept === undefined)
    throw new ModelError('MODEL_FAILED', `the plan could not be stored in ${cache}`)
}

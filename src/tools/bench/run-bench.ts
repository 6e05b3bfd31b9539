import type { RunContext } from '../../base/command.ts'
import { ModelError } from '../../base/errors.ts'
import { createUniform } from '../../base/hash.ts'
import { showProgress } from '../../base/terminal.ts'
import { type BenchOptions, bench } from './bench.ts'
import { formatBench } from './bench-report.ts'
import { type CompileReportOptions, formatCompile, reportCompile } from './compile-report.ts'
import { openTarget, type Target, type TargetOptions } from './target.ts'

/** The flags of both commands. */
interface GraphFlags extends Omit<TargetOptions, 'random'> {
  /** Folder of compiled plans. */
  cache?: string | undefined
  seed: number
  json: boolean
}

export type BenchFlags = GraphFlags & Pick<BenchOptions, 'rows' | 'requests' | 'seconds' | 'threads'>
export type CompileFlags = GraphFlags & Pick<CompileReportOptions, 'report' | 'rows'>

export interface CommonOptions extends GraphFlags, RunContext {
  /** Path of an ONNX file, folder of a version or a model, or a model's name. */
  target: string
}

/** `multigate bench` */
export async function runBench(options: BenchFlags & CommonOptions): Promise<void> {
  await printReport(options, bench, formatBench)
}

/** `multigate compile`. Rejects with MODEL_FAILED if the plan could not be stored. */
export async function runCompile(options: CompileFlags & CommonOptions): Promise<void> {
  const { compiled, kept } = await printReport(options, reportCompile, formatCompile)
  if (compiled && options.cache !== undefined && kept === undefined)
    throw new ModelError('MODEL_FAILED', `the plan could not be stored in ${options.cache}`)
}

async function printReport<Options extends CommonOptions, Report>(
  options: Options,
  reportOf: (target: Target, options: Options & Pick<BenchOptions, 'random' | 'now' | 'progress'>) => Promise<Report>,
  format: (report: Report) => string,
): Promise<Report> {
  const random = createUniform(options.seed)
  const target = await openTarget(options.target, { ...options, random })
  const progress = showProgress(options.err)
  const report = await reportOf(target, { ...options, random, now: () => performance.now(), progress })
  progress('')
  options.out.write(`${options.json ? JSON.stringify(report, undefined, 2) : format(report)}\n`)
  return report
}

import { execFile, spawn, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { temporaryFolder } from '../experiment.ts'

/** Kinds of code that a thread runs. */
export const kinds = [
  'ONNX Runtime',
  'made at run time',
  'garbage collection',
  'Node and V8',
  'C library',
  'addons',
  'kernel',
] as const
export type Kind = (typeof kinds)[number]

/** Where a thread was at one moment. */
export interface Sample {
  thread: number
  symbol: string
  /** File of the code; `[kernel.kallsyms]` and the like of the kernel. */
  file: string
}

/** Samples a second: no multiple of timers. */
const rate = 997

/** Why no samples can be taken here; undefined where they can. */
export const lackingPerf = (): string | undefined =>
  spawnSync('perf', ['--version']).error === undefined ? undefined : 'perf is not installed'

/** Takes samples of all threads of a process, on any processor, while some work is done. */
export async function sampleWhile<T>(pid: number, work: () => Promise<T>): Promise<{ result: T; samples: Sample[] }> {
  const file = join(await temporaryFolder(), 'perf.data')
  const events = ['--event', 'cpu-clock', '--freq', String(rate)]
  const recorder = spawn('perf', ['record', ...events, '--pid', String(pid), '--output', file], { stdio: 'ignore' })
  const ended = new Promise((resolve) => recorder.once('exit', resolve))
  const result = await work()
  recorder.kill('SIGINT')
  await ended
  const { stdout } = await promisify(execFile)('perf', ['script', '--input', file, '--fields', 'tid,sym,ip,dso'], {
    maxBuffer: 2 ** 30,
  })
  return { result, samples: parseSamples(stdout) }
}

/** Reads what `perf script` writes: thread, address, symbol and file of each sample. */
export function parseSamples(text: string): Sample[] {
  return text.split('\n').flatMap((line): Sample[] => {
    const [, thread, symbol, file] = /^\s*(\d+)\s+[0-9a-f]+ (.*) \((.*)\)\s*$/.exec(line) ?? []
    return thread === undefined ? [] : [{ thread: Number(thread), symbol: symbol!, file: file! }]
  })
}

/** The kind of the code of a sample. */
export function kindOf({ symbol, file }: Sample): Kind {
  if (/^\[(?:kernel|guest|vdso)/.test(file) || /\/vmlinux|\.ko\b/.test(file)) return 'kernel'
  if (/libonnxruntime/.test(file)) return 'ONNX Runtime'
  if (/libdnnl/.test(file)) return 'made at run time'
  if (/\.node$/.test(file)) return 'addons'
  if (/\/lib(?:c|m|pthread|stdc\+\+|gcc_s)[-.]|\/ld-/.test(file)) return 'C library'
  // Code of V8 for JavaScript and WebAssembly, and of oneDNN, has no file; some of V8's is a part of the program.
  if (/^(?:\[unknown\]|\/\/anon|anon|\[JIT\]|\[anon)/.test(file) || file.endsWith('.map')) return 'made at run time'
  if (symbol.startsWith('Builtins_')) return 'made at run time'
  if (/Scaveng|MarkCompact|Marking|Sweep|Evacuat|GarbageCollect|[^a-z]GC|Heap::Collect/.test(symbol))
    return 'garbage collection'
  return 'Node and V8'
}

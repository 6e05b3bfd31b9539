import { readFile } from 'node:fs/promises'
import { cpus, loadavg } from 'node:os'
import { join } from 'node:path'

/** Machine and software of a run. */
export interface Machine {
  date: string
  processor: string
  cores: number
  /** Load average of the minute before the run: well below one on a quiet machine. */
  loadBefore: number
  versions: Record<string, string>
  /** MULTIGATE_… variables in the environment. */
  settings: Record<string, string>
}

const root = join(import.meta.dirname, '../..')

export async function describeMachine(now: Date): Promise<Machine> {
  const packages = ['onnxruntime-node', 'fastify', 'autocannon']
  const versionOf = async (folder: string) =>
    (JSON.parse(await readFile(join(root, folder, 'package.json'), 'utf8')) as { version: string }).version
  const versions: Record<string, string> = { node: process.versions.node, multigate: await versionOf('.') }
  for (const name of packages) versions[name] = await versionOf(join('node_modules', name))
  const settings = Object.entries(process.env).filter(
    ([name]) => name.startsWith('MULTIGATE_') && name !== 'MULTIGATE_COMPETITORS_PYTHON',
  )
  return {
    date: now.toISOString().slice(0, 16).replace('T', ' '),
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    loadBefore: loadavg()[0]!,
    versions,
    settings: Object.fromEntries(settings) as Record<string, string>,
  }
}

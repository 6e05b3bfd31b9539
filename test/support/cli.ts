import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'

const cli = join(import.meta.dirname, '../../src/cli.js')

export interface CliResult {
  code: number
  stdout: string
  stderr: string
}

/** The real command line, with these MULTIGATE_ variables alone. */
export async function runCli(args: readonly string[], variables: Record<string, string> = {}): Promise<CliResult> {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('MULTIGATE_')))
  try {
    const done = await promisify(execFile)(process.execPath, [cli, ...args], { env: { ...env, ...variables } })
    return { code: 0, ...done }
  } catch (error) {
    const { code, stdout, stderr } = error as CliResult
    return { code, stdout, stderr }
  }
}

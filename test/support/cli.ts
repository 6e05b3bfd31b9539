import { execFile } from 'node:child_process'
import { Writable } from 'node:stream'
import { promisify } from 'node:util'
import type { CommandContext } from '../../src/base/command.ts'
import { createCommands } from '../../src/tools/commands/all-commands.ts'
import { runProgram } from '../../src/tools/commands/program.ts'
import { cli } from './entries.ts'

export interface CliResult {
  code: number
  stdout: string
  stderr: string
}

/** The context that a command gets here, and the text that it has written. */
export function commandContext(
  args: readonly string[] = [],
  signal: AbortSignal = new AbortController().signal,
): { context: CommandContext; stdout(): string; stderr(): string } {
  const [out, err] = [capture(), capture()]
  const context = { args, signal, out: out.stream, err: err.stream, exitCode: 0 }
  return { context, stdout: out.text, stderr: err.text }
}

let isRunning = false

/**
 * Runs a command in this process, with these MULTIGATE_ variables alone and the plan cache of the test run; one at a
 * time, since it replaces the variables of this process meanwhile.
 */
export async function runCli(
  args: readonly string[],
  variables: Record<string, string> = {},
  signal?: AbortSignal,
): Promise<CliResult> {
  if (isRunning) throw new Error('runCli runs one command at a time')
  isRunning = true
  const former = { ...process.env }
  setVariables(withVariables(variables))
  try {
    const { context, stdout, stderr } = commandContext(args, signal)
    const code = await runProgram(await createCommands(context), context)
    return { code, stdout: stdout(), stderr: stderr() }
  } finally {
    setVariables(former)
    isRunning = false
  }
}

/** The same in a process of its own, through the entry of the command line; `nodeArgs` are Node's own. */
export async function spawnCli(
  args: readonly string[],
  variables: Record<string, string> = {},
  nodeArgs: readonly string[] = [],
): Promise<CliResult> {
  try {
    const env = withVariables(variables)
    return { code: 0, ...(await promisify(execFile)(process.execPath, [...nodeArgs, cli, ...args], { env })) }
  } catch (error) {
    const { code, stdout, stderr } = error as CliResult
    return { code, stdout, stderr }
  }
}

function capture(): { stream: Writable; text(): string } {
  const pieces: Buffer[] = []
  const stream = new Writable({
    write(piece: Buffer, _encoding, done) {
      pieces.push(piece)
      done()
    },
  })
  return { stream, text: () => Buffer.concat(pieces).toString() }
}

/** Those of this process, without MULTIGATE_ variables but the plan cache's. */
function withVariables(variables: Record<string, string>): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(
    ([name]) => !name.startsWith('MULTIGATE_') || name === 'MULTIGATE_CACHE',
  )
  return { ...Object.fromEntries(own), ...variables }
}

function setVariables(variables: NodeJS.ProcessEnv): void {
  for (const name of Object.keys(process.env)) if (!(name in variables)) delete process.env[name]
  Object.assign(process.env, variables)
}

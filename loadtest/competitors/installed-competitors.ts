import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

const competitorsFolder = join(import.meta.dirname, '../../../loadtest/competitors')

/** Installs missing competitors; returns the reason for each failure. Progress goes to standard error. */
export async function installPeers(names: readonly string[], folder: string): Promise<Map<string, string>> {
  if (names.length === 0) return new Map()
  const child = spawn('bash', [join(competitorsFolder, 'setup.sh'), folder, ...names], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    output += chunk
  })
  await once(child, 'close')
  return readMissing(names, output)
}

/** Reasons why competitors are missing, from the output of setup.sh. */
export function readMissing(names: readonly string[], output: string): Map<string, string> {
  const reasons = new Map(output.split('\n').map((line) => [line.split(':')[0], line.slice(line.indexOf(':') + 2)]))
  return new Map(
    names
      .map((name) => [name, reasons.get(name) ?? 'not installed: its set-up ended early'] as const)
      .filter(([, state]) => state !== 'ready'),
  )
}

/** A competitor's pinned packages by name: Python packages, and crates of the server in Rust. */
export async function pinnedVersions(name: string): Promise<Record<string, string>> {
  const packages = await readFile(join(competitorsFolder, 'requirements', `${name}.txt`), 'utf8')
  const crates = name === 'rust' ? await readFile(join(competitorsFolder, 'servers/rust/Cargo.toml'), 'utf8') : ''
  const pins = `${packages}\n${crates}`.matchAll(/^([\w-]+)(?:==| = (?:\{ version = )?"=)([^"\s]+)/gm)
  return Object.fromEntries([...pins].map(([, name, version]) => [name, version]))
}

import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

const root = join(import.meta.dirname, '../../..')
/** Longest that an installation may take, ms. */
const patience = 100_000

/**
 * The folder in which npm has installed these packages, `node_modules` within it: once below the project's own, where
 * all tests that name the same share it. Where they can't be had, why not, as an object. Their install scripts don't
 * run.
 */
export async function npmPackages(packages: Record<string, string>): Promise<string | { reason: string }> {
  const content = JSON.stringify({ private: true, dependencies: packages })
  const key = createHash('sha256').update(`${content} ${process.version}`).digest('hex').slice(0, 16)
  const folder = join(root, 'node_modules/.cache/multigate-npm', key)
  if (existsSync(folder)) return folder
  const partial = `${folder}.${process.pid}`
  mkdirSync(partial, { recursive: true })
  writeFileSync(join(partial, 'package.json'), content)
  const npm = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock', '--prefer-offline']
  try {
    await promisify(execFile)('npm', npm, { cwd: partial, timeout: patience })
  } catch (error) {
    rmSync(partial, { recursive: true, force: true })
    return { reason: `needs ${Object.keys(packages).join(', ')}, which npm can't install: ${error}` }
  }
  // Another test may have been faster.
  if (existsSync(folder)) rmSync(partial, { recursive: true, force: true })
  else renameSync(partial, folder)
  return folder
}

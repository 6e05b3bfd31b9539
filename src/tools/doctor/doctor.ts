import { mkdtemp, readdir, rmdir, statfs } from 'node:fs/promises'
import { arch, cpus, release, type } from 'node:os'
import { join, resolve } from 'node:path'
import { checkAccess } from '../../app/check-access.ts'
import { openFilesLimit, openFilesProblem } from '../../app/start.ts'
import { hideCredentialsIn } from '../../base/address-credentials.ts'
import { allSettings, checkConfiguration, readSettings } from '../../base/configuration.ts'
import { reasonOf } from '../../base/errors.ts'
import { existingFolder, fileProblem } from '../../base/files.ts'
import { memoryLimit } from '../../base/process.ts'
import { classOf, detectProcessor, type Processor } from '../../base/processor.ts'
import { multigateVersion } from '../../base/project.ts'
import { cacheFolder } from '../../base/settings.ts'
import { formatBytes } from '../../base/terminal.ts'
import { createEngine } from '../../model/engines/create.ts'
import { availableCores } from '../../model/engines/pool/cores.ts'
import { count } from '../../schemas/check.ts'
import type { Configuration } from '../../schemas/configuration.ts'
import type { Finding } from './finding.ts'

/** Free bytes below which a disk counts as nearly full. */
const leastFree = 1024 ** 3

/**
 * Looks at versions, the processor, the engine, settings, folders and limits. Answers a report, and how many checks
 * failed. It names files, but reads no secret out.
 */
export async function examine(
  env: NodeJS.ProcessEnv,
  processor: Processor = detectProcessor({ env }),
): Promise<{ text: string; failed: number }> {
  const facts = [
    `multigate ${multigateVersion}, Node ${process.version}, ${type()} ${release()} ${arch()}`,
    `${cpus()[0]?.model.trim() ?? 'unknown processor'}; ${availableCores()} of ${cpus().length} cores available; ${featuresOf(processor)}`,
    `memory: ${formatBytes(memoryLimit())}`,
  ]
  const { configuration, unknown, problems } = readSettings(env, {})
  const findings = [
    ...problems.map((problem): Finding => ({ name: 'settings', detail: '', problem })),
    ...unknown.map((name): Finding => ({ name, detail: '', problem: 'is not a setting' })),
    ...changedSettings(configuration),
    await check('engine', async () => (await createEngine(configuration.MULTIGATE_ENGINE, 1)).name),
    await onednn(configuration, processor),
    await check('models', () => models(configuration)),
    ...(await tables(configuration)),
    await check('plan cache', () => cache(configuration)),
    ...(await security(configuration)),
    await check('open files', async () => openFiles(configuration)),
  ]
  const failed = findings.filter(({ problem }) => problem !== undefined).length
  const lines = findings.map(
    ({ name, detail, problem }) => `${problem === undefined ? 'ok    ' : 'FAILED'} ${name}: ${problem ?? detail}`,
  )
  const summary = failed === 0 ? 'All checks passed.' : `${failed} of ${findings.length} checks failed.`
  return { text: [...facts, '', ...lines, '', summary].join('\n'), failed }
}

/** The answer of a check, or the problem that it throws. */
async function check(name: string, work: () => Promise<string>): Promise<Finding> {
  try {
    return { name, detail: await work() }
  } catch (error) {
    return { name, detail: '', problem: reasonOf(error) }
  }
}

function changedSettings(configuration: Configuration): Finding[] {
  const defaults = checkConfiguration({})
  const changed = allSettings.filter((key) => configuration[key] !== defaults[key])
  return changed.map((key) => ({ name: key, detail: hideCredentialsIn(String(configuration[key])) }))
}

/** Optional: that it can't be used is a problem only where the settings name a library. */
async function onednn({ MULTIGATE_ONEDNN }: Configuration, processor: Processor): Promise<Finding> {
  const { fastPrecisions, suitabilityOf } = await import('../../model/graph/onednn/instructions.ts')
  const { openFastLibrary } = await import('../../model/graph/onednn/library.ts')
  try {
    const { version, instructions } = openFastLibrary('int8')
    const scope = fastPrecisions(instructions).length === 1 ? ', for int8 alone' : ''
    return { name: 'oneDNN', detail: `${version}, ${instructions}${scope}` }
  } catch (error) {
    const problem = reasonOf(error)
    const suitability = `this processor ${suitabilityOf(classOf(processor))}`
    const isNamed = MULTIGATE_ONEDNN !== '' && MULTIGATE_ONEDNN !== 'off'
    return { name: 'oneDNN', detail: `not used: ${problem} (${suitability})`, ...(isNamed && { problem }) }
  }
}

async function models({ MULTIGATE_MODELS }: Configuration): Promise<string> {
  const folder = resolve(MULTIGATE_MODELS)
  const entries = await readdir(folder, { withFileTypes: true }).catch((cause) => {
    throw new Error(`${folder} ${fileProblem(cause)}`)
  })
  const names = entries.filter((entry) => !entry.isFile() && !entry.name.startsWith('.'))
  if (names.length === 0) throw new Error(`${folder} holds no model`)
  return `${folder}, ${count(names.length, 'model')}`
}

async function tables(configuration: Configuration): Promise<Finding[]> {
  const { checkTables } = await import('./check-tables.ts')
  return checkTables(configuration).catch((error) => [{ name: 'tables', detail: '', problem: reasonOf(error) }])
}

async function cache({ MULTIGATE_CACHE }: Configuration): Promise<string> {
  const folder = cacheFolder(MULTIGATE_CACHE)
  if (folder === undefined) return 'off'
  const free = await freeBytes(folder).catch((cause) => {
    throw new Error(`${folder} can't be written: ${reasonOf(cause)}`)
  })
  const detail = `${folder}, ${formatBytes(free)} free`
  if (free < leastFree) throw new Error(`${detail}: nearly full`)
  return detail
}

/** Free bytes of the disk of a folder, which need not be there. Rejects where nothing can be written into it. */
async function freeBytes(folder: string): Promise<number> {
  // The server makes the folder: whether it can says the one above.
  const existing = await existingFolder(folder)
  // In some folders, as of `/proc`, nothing can be made although permissions allow it.
  await rmdir(await mkdtemp(join(existing, '.multigate-')))
  const { bavail, bsize } = await statfs(existing)
  return bavail * bsize
}

async function security(configuration: Configuration): Promise<Finding[]> {
  const { MULTIGATE_KEYS, MULTIGATE_TLS_CERT } = configuration
  const findings = [
    await check('access', async () => {
      checkAccess(configuration)
      return MULTIGATE_KEYS === '' ? 'clients need no key' : 'clients need a key'
    }),
  ]
  if (MULTIGATE_KEYS !== '')
    findings.push(
      await check('keys', async () => {
        const { readKeys } = await import('../../app/key-file.ts')
        const { keyring, warning } = await readKeys(MULTIGATE_KEYS)
        const expired = keyring.keys.filter(({ expires }) => expires <= Date.now()).length
        return `${keyring.keys.length} keys, ${expired} expired${warning === undefined ? '' : `; the file ${warning}`}`
      }),
    )
  if (MULTIGATE_TLS_CERT !== '')
    findings.push(
      await check('certificate', async () => {
        const { readCredentials } = await import('../../app/tls.ts')
        const { expires, problem } = await readCredentials(configuration)
        if (problem !== undefined) throw new Error(`it ${problem}`)
        return `valid until ${new Date(expires).toISOString()}`
      }),
    )
  return findings
}

function openFiles(configuration: Configuration): string {
  const limit = openFilesLimit()
  const problem = openFilesProblem(configuration, limit)
  if (problem !== undefined) throw new Error(problem)
  return Number.isFinite(limit) ? String(limit) : 'no limit known'
}

/** The features that decide how fast matrices are multiplied. */
function featuresOf({ features, cap }: Processor): string {
  const known = [
    'avx2',
    'avx512f',
    'avx512_vnni',
    'avx512_bf16',
    'avx_vnni',
    'amx_int8',
    'amx_bf16',
    'asimddp',
    'i8mm',
    'bf16',
    'sve',
  ]
  const found = known.filter((name) => features?.has(name)).join(', ') || 'features unknown'
  return cap === undefined ? found : `${found}; ONEDNN_MAX_CPU_ISA=${cap} allows no wider ones`
}

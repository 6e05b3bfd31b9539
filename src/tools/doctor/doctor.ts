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
import type { Configuration } from '../../schemas/configuration.ts'

/** A check: what it looked at, and the problem if there is one. */
interface Finding {
  name: string
  detail: string
  problem?: string
}

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
  const findings: Finding[] = []
  const configuration = settings(env, findings)
  findings.push(...changedSettings(configuration))
  findings.push(await engine(configuration))
  findings.push(await onednn(configuration, processor))
  findings.push(await models(configuration))
  findings.push(await cache(configuration))
  findings.push(...(await security(configuration)))
  findings.push(openFiles(configuration))
  const failed = findings.filter(({ problem }) => problem !== undefined).length
  const lines = findings.map(
    ({ name, detail, problem }) => `${problem === undefined ? 'ok    ' : 'FAILED'} ${name}: ${problem ?? detail}`,
  )
  const summary = failed === 0 ? 'All checks passed.' : `${failed} of ${findings.length} checks failed.`
  return { text: [...facts, '', ...lines, '', summary].join('\n'), failed }
}

function settings(env: NodeJS.ProcessEnv, findings: Finding[]): Configuration {
  const { configuration, unknown, problems } = readSettings(env, {})
  for (const problem of problems) findings.push({ name: 'settings', detail: '', problem })
  for (const name of unknown) findings.push({ name, detail: '', problem: 'is not a setting' })
  return configuration
}

function changedSettings(configuration: Configuration): Finding[] {
  const defaults = checkConfiguration({})
  const changed = allSettings.filter((key) => configuration[key] !== defaults[key])
  return changed.map((key) => ({ name: key, detail: hideCredentialsIn(String(configuration[key])) }))
}

async function engine({ MULTIGATE_ENGINE }: Configuration): Promise<Finding> {
  try {
    const engine = await createEngine(MULTIGATE_ENGINE, 1)
    return { name: 'engine', detail: engine.name }
  } catch (error) {
    return { name: 'engine', detail: '', problem: reasonOf(error) }
  }
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

async function models({ MULTIGATE_MODELS }: Configuration): Promise<Finding> {
  const folder = resolve(MULTIGATE_MODELS)
  try {
    const names = (await readdir(folder, { withFileTypes: true })).filter(
      (entry) => !entry.isFile() && !entry.name.startsWith('.'),
    )
    const detail = `${folder}, ${names.length} ${names.length === 1 ? 'model' : 'models'}`
    return { name: 'models', detail, ...(names.length === 0 && { problem: `${folder} holds no model` }) }
  } catch (cause) {
    return { name: 'models', detail: '', problem: `${folder} ${fileProblem(cause)}` }
  }
}

async function cache({ MULTIGATE_CACHE }: Configuration): Promise<Finding> {
  const folder = cacheFolder(MULTIGATE_CACHE)
  if (folder === undefined) return { name: 'plan cache', detail: 'off' }
  try {
    // The server makes the folder: whether it can says the one above.
    const existing = await existingFolder(folder)
    // In some folders, as of `/proc`, nothing can be made although permissions allow it.
    await rmdir(await mkdtemp(join(existing, '.multigate-')))
    const { bavail, bsize } = await statfs(existing)
    const free = bavail * bsize
    const detail = `${folder}, ${formatBytes(free)} free`
    return { name: 'plan cache', detail, ...(free < leastFree && { problem: `${detail}: nearly full` }) }
  } catch (cause) {
    return { name: 'plan cache', detail: '', problem: `${folder} can't be written: ${reasonOf(cause)}` }
  }
}

async function security(configuration: Configuration): Promise<Finding[]> {
  const { MULTIGATE_KEYS, MULTIGATE_TLS_CERT } = configuration
  const findings: Finding[] = []
  const check = async (name: string, work: () => Promise<string>) => {
    try {
      findings.push({ name, detail: await work() })
    } catch (error) {
      findings.push({ name, detail: '', problem: reasonOf(error) })
    }
  }
  await check('access', async () => {
    checkAccess(configuration)
    return MULTIGATE_KEYS === '' ? 'clients need no key' : 'clients need a key'
  })
  if (MULTIGATE_KEYS !== '')
    await check('keys', async () => {
      const { readKeys } = await import('../../app/key-file.ts')
      const { keyring, warning } = await readKeys(MULTIGATE_KEYS)
      const expired = keyring.keys.filter(({ expires }) => expires <= Date.now()).length
      return `${keyring.keys.length} keys, ${expired} expired${warning === undefined ? '' : `; the file ${warning}`}`
    })
  if (MULTIGATE_TLS_CERT !== '')
    await check('certificate', async () => {
      const { readCredentials } = await import('../../app/tls.ts')
      const { expires, problem } = await readCredentials(configuration)
      if (problem !== undefined) throw new Error(`it ${problem}`)
      return `valid until ${new Date(expires).toISOString()}`
    })
  return findings
}

function openFiles(configuration: Configuration): Finding {
  const limit = openFilesLimit()
  const problem = openFilesProblem(configuration, limit)
  return {
    name: 'open files',
    detail: Number.isFinite(limit) ? String(limit) : 'no limit known',
    ...(problem !== undefined && { problem }),
  }
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

import type { KeyObject } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join, relative, resolve } from 'node:path'
import { reasonOf } from '../base/errors.ts'
import { fileProblem, fileReason } from '../base/files.ts'
import { projectRoot } from '../base/project.ts'
import { parsePublicKeys } from '../model/serving/version/signature.ts'
import type { Configuration } from '../schemas/configuration.ts'

/**
 * Rejects, saying what to do, if the models folder can't be read: a misspelt path is an error, not a service without
 * models. An empty folder is accepted: its models may arrive later.
 */
export async function checkModelsFolder(
  root: string,
  { MULTIGATE_WAIT_FOR_MODELS, MULTIGATE_POLL_SECONDS }: Configuration,
): Promise<void> {
  if (MULTIGATE_WAIT_FOR_MODELS && MULTIGATE_POLL_SECONDS === 0)
    throw new Error(
      'MULTIGATE_WAIT_FOR_MODELS needs MULTIGATE_POLL_SECONDS above 0: otherwise the folder is not scanned again',
    )
  if (MULTIGATE_WAIT_FOR_MODELS) return
  try {
    await readdir(root)
  } catch (error) {
    const what =
      (error as NodeJS.ErrnoException).code === 'ENOENT' ? "doesn't exist" : `can't be read: ${fileReason(error)}`
    throw new Error(
      `the models folder ${root} ${what}; --models (MULTIGATE_MODELS) names another${bundledModels(root)}, --wait-for-models (MULTIGATE_WAIT_FOR_MODELS) waits for it`,
    )
  }
}

/** Names the folder of the models that come with the package. */
function bundledModels(root: string): string {
  const bundled = join(projectRoot, 'models')
  if (bundled === resolve(root) || !existsSync(bundled)) return ''
  return ` (--models ${relative('', bundled)} serves the models of this package)`
}

/** The keys that may sign versions; none where no file is configured. Rejects with an Error that names the file. */
export async function readModelKeys(file: string): Promise<KeyObject[]> {
  if (file === '') return []
  const pem = await readFile(file, 'utf8').catch((cause) => {
    throw new Error(`MULTIGATE_MODEL_KEYS: ${file} ${fileProblem(cause)}`)
  })
  try {
    return parsePublicKeys(pem)
  } catch (error) {
    throw new Error(`MULTIGATE_MODEL_KEYS: ${file} ${reasonOf(error)}`)
  }
}

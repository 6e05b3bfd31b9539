import { readdir } from 'node:fs/promises'
import { fileReason } from '../model/base/regular-file.ts'
import type { Configuration } from '../schemas/configuration.ts'

/**
 * Rejects, saying what to do, where there is no models folder that can be read: a misspelt path is an error, not a service
 * without models. An empty folder is none: its models may be on their way.
 */
export async function checkModelsFolder(
  root: string,
  { MULTIGATE_WAIT_FOR_MODELS, MULTIGATE_POLL_SECONDS }: Configuration,
): Promise<void> {
  if (MULTIGATE_WAIT_FOR_MODELS && MULTIGATE_POLL_SECONDS === 0)
    throw new Error(
      'MULTIGATE_WAIT_FOR_MODELS needs MULTIGATE_POLL_SECONDS above 0: nobody would look at the folder again',
    )
  if (MULTIGATE_WAIT_FOR_MODELS) return
  try {
    await readdir(root)
  } catch (error) {
    const what =
      (error as NodeJS.ErrnoException).code === 'ENOENT' ? "doesn't exist" : `can't be read: ${fileReason(error)}`
    throw new Error(
      `the models folder ${root} ${what}; --models (MULTIGATE_MODELS) names another, --wait-for-models (MULTIGATE_WAIT_FOR_MODELS) waits for it`,
    )
  }
}

import { planNames } from '../compile/sides/tensor-names.ts'
import type { VariantFile } from '../contracts/compiled-plan.ts'
import type { ProgramOptions } from '../onednn/open-program.ts'
import { OnednnUnavailable } from '../onednn/unavailable.ts'
import type { GraphSession } from './variant.ts'

/**
 * Opens one graph of a plan in oneDNN. Undefined where the library is missing here, or has nothing to compute.
 */
export async function openOnednn(
  folder: string,
  file: VariantFile,
  precision: ProgramOptions['precision'],
  session: NonNullable<ProgramOptions['session']>,
): Promise<GraphSession | undefined> {
  try {
    // Imported where it is needed: other plans do without the library.
    const { openProgram } = await import('../onednn/open-program.ts')
    const mayRound = (input: string) => planNames.layerOf(input) !== undefined
    const program = await openProgram(folder, file, { precision, requests: planNames.requests, mayRound, session })
    return typeof program === 'string'
      ? undefined
      : { inputs: program.inputs, run: program.run, release: program.close }
  } catch (error) {
    if (error instanceof OnednnUnavailable) return undefined
    throw error
  }
}

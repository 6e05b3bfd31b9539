import { planNames } from '../compile/sides/tensor-names.ts'
import type { VariantFile } from '../contracts/compiled-plan.ts'
import type { ProgramOptions } from '../onednn/open-program.ts'
import { OnednnUnavailable } from '../onednn/unavailable.ts'
import type { GraphSession } from './variant.ts'

/**
 * Opens one graph of a plan in oneDNN. Undefined where the library is missing here, or the graph has a node that is not translated.
 */
export async function openOnednn(
  folder: string,
  file: VariantFile,
  precision: ProgramOptions['precision'],
): Promise<GraphSession | undefined> {
  try {
    // Imported where it is needed: other plans do without the library.
    const { openProgram } = await import('../onednn/open-program.ts')
    const mayRound = (input: string) => planNames.layerOf(input) !== undefined
    const program = await openProgram(folder, file, { precision, requests: planNames.requests, mayRound })
    if (typeof program === 'string') return undefined
    return {
      inputs: program.inputs,
      run: async (feeds) => program.run(feeds),
      release: async () => program.close(),
    }
  } catch (error) {
    if (error instanceof OnednnUnavailable) return undefined
    throw error
  }
}

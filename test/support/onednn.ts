import { openFastLibrary, openLibrary } from '../../src/model/graph/onednn/library.ts'

/** Why tests of oneDNN's products can't run here; undefined where they can. */
export function withoutOnednn(): string | undefined {
  try {
    openLibrary()
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}

/** Why versions can't be served in bfloat16 here; undefined where they can. */
export const withoutBfloat16 = () => withoutFast('bfloat16')

/** Why oneDNN doesn't compute int8 here; undefined where it does. */
export const withoutInt8 = () => withoutFast('int8')

function withoutFast(precision: 'bfloat16' | 'int8'): string | undefined {
  try {
    openFastLibrary(precision)
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}

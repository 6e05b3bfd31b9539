import { openFastLibrary, openLibrary } from '../../src/model/onednn/library.ts'

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
export function withoutBfloat16(): string | undefined {
  try {
    openFastLibrary()
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}

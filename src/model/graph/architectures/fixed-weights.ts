import { isBins } from './numeric-bins.ts'
import { wideSum } from './wide-part.ts'

/** Whether training leaves a constant of a built-in architecture unchanged, though a product reads it. */
export const isFixedWeight = (name: string): boolean => isBins(name) || name === wideSum

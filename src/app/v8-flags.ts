import { setFlagsFromString } from 'node:v8'
import { collectWhenIdle } from './collect-when-idle.ts'

/** Of the memory that is in use after a collection, how much more may be taken before the next, %. */
const growth = 300

/**
 * Size of half of the young generation, MiB, as a flag of Node, which takes it when it starts alone: `npm start`, the image, and
 * several processes start so.
 *
 * Bodies of refused requests are garbage immediately, but outside the heap: a collection of the young generation frees them.
 * Where that is as large as Node 24 makes it, 64 MiB of them come together first, and V8 collects the whole heap for it.
 */
export const youngGeneration = '--max-semi-space-size=16'

/** Node's own arguments of a process that serves: those given, and the above unless one of its kind is among them. */
export function serverArgv(given: readonly string[], options = process.env.NODE_OPTIONS ?? ''): string[] {
  const chosen = [...given, options].some((argument) => /--max[-_]semi[-_]space[-_]size/.test(argument))
  return chosen ? [...given] : [...given, youngGeneration]
}

/**
 * Has the whole heap collected seldom while there is something to do: for a process that does nothing but serve, where a pause costs more than memory.
 *
 * Under a flood, what waits for an engine grows old and is garbage soon after. V8 by itself collects all there is when a third
 * has been added to it: up to five times a second, 5 to 15 ms each, while its helper threads keep the engines from their cores.
 */
export function collectSeldom(): void {
  setFlagsFromString(`--heap-growing-percent=${growth}`)
  collectWhenIdle()
}

import { setFlagsFromString } from 'node:v8'

/** Of the memory that is in use after a collection, how much more may be taken before the next, %. */
const growth = 300

/**
 * Has the whole heap collected seldom: for a process that does nothing but serve, where a pause costs more than memory.
 *
 * Under a flood, what waits for an engine grows old and is garbage soon after. V8 by itself collects all there is when a third
 * has been added to it: up to five times a second, 5 to 15 ms each, while its helper threads keep the engines from their cores.
 */
export function collectSeldom(): void {
  setFlagsFromString(`--heap-growing-percent=${growth}`)
}

/** More than a core's share of the last level of processor caches. */
const bytes = 64 * 2 ** 20
/** Apart by at least a line of a cache. */
const step = 64 / Float64Array.BYTES_PER_ELEMENT

/** Makes a function that replaces what is in the processor's caches by other memory: the next call finds them cold. */
export function cacheEvictor(): () => void {
  const memory = new Float64Array(bytes / Float64Array.BYTES_PER_ELEMENT)
  return () => {
    for (let i = 0; i < memory.length; i += step) memory[i]! += 1
  }
}

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** A function that has V8 collect all garbage of the calling thread, which waits for it. */
export function createCollector(): () => void {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  setFlagsFromString('--no-expose-gc')
  return collect
}

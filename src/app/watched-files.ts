import { unwatchFile, watchFile } from 'node:fs'

/** How often files are looked at, ms: those that are mounted into containers report no changes. */
const interval = 1000

/**
 * Calls `changed` when one of the files is another, once for all that changed together. Answers a function that ends
 * it. Links are followed: Kubernetes replaces a mounted secret by another link.
 */
export function watchFiles(paths: readonly string[], changed: () => void): () => void {
  let timer: NodeJS.Timeout | undefined
  const soon = () => {
    clearTimeout(timer)
    // The others may be written in a moment: a certificate and its key.
    timer = setTimeout(changed, interval / 4).unref()
  }
  for (const path of paths) watchFile(path, { interval, persistent: false }, soon)
  return () => {
    clearTimeout(timer)
    for (const path of paths) unwatchFile(path, soon)
  }
}

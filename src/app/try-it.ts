import type { Registry } from '../model/serving/registry/registry.ts'
import type { Configuration } from '../schemas/configuration.ts'
import { exampleOf } from '../server/routes/example.ts'

/**
 * A request for people to try: an example of the default model, or of any that answers. Undefined where there is none.
 */
export function tryIt(
  registry: Pick<Registry, 'acquire' | 'live'>,
  url: string,
  { MULTIGATE_KEYS }: Pick<Configuration, 'MULTIGATE_KEYS'>,
): string | undefined {
  const example = exampleFrom(registry)
  if (example === undefined) return undefined
  const headers = ["-H 'content-type: application/json'"]
  if (MULTIGATE_KEYS !== '') headers.push('-H "authorization: Bearer $MULTIGATE_KEY"')
  return `curl -s ${url}/predict ${headers.join(' ')} -d ${quoted(JSON.stringify(example))}`
}

function exampleFrom(registry: Pick<Registry, 'acquire' | 'live'>): object | undefined {
  try {
    const { model, release } = registry.acquire()
    const { example } = exampleOf(model.manifest)
    release()
    if (example !== undefined) return example
  } catch {
    // There is no default model, or it failed to load.
  }
  for (const { model } of registry.live()) {
    const { example } = exampleOf(model.manifest)
    if (example !== undefined) return example
  }
  return undefined
}

/** For a POSIX shell. Control characters are escaped in JSON already. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}

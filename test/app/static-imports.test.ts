import { readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import t from 'tap'

const sources = join(import.meta.dirname, '../../../src')

/** Modules and packages that a module imports without being asked, by itself or through others. */
function importsOf(entry: string): string[] {
  const found = new Set([join(sources, entry)])
  for (const path of found) {
    if (!path.startsWith(sources) || !path.endsWith('.ts')) continue
    const text = readFileSync(path, 'utf8')
    for (const [, from] of text.matchAll(/^(?:import|export) (?!type )(?:[^']*? from )?'([^']+)'/gm))
      found.add(from!.startsWith('.') ? join(dirname(path), from!) : from!)
  }
  return [...found].map((path) => (path.startsWith(sources) ? relative(sources, path) : path))
}

const ofLog = /prediction-log\/(?:open-log|prediction-log|log-|parquet)|^hyparquet|^hysnappy/

t.test('a server without a prediction log loads nothing of it, and one with lines of JSON nothing of Parquet', (t) => {
  const off = importsOf('main.ts').concat(importsOf('app/listen.ts'), importsOf('app/service.ts'))
  t.ok(off.includes('app/request-records.ts'))
  t.same(
    off.filter((path) => ofLog.test(path)),
    [],
  )
  const jsonl = importsOf('app/prediction-log.ts').concat(importsOf('server/protocols/log-thread.ts'))
  t.ok(jsonl.includes('server/prediction-log/log-writer.ts'))
  t.same(
    jsonl.filter((path) => /log-converter|\/parquet\/|^hyparquet|^hysnappy/.test(path)),
    [],
  )
  t.ok(importsOf('server/prediction-log/log-parquet-thread.ts').includes('hyparquet-writer'))
  t.end()
})

import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { projectRoot } from '../../src/base/project.ts'

const filesIn = (folder: string, ending: RegExp) =>
  readdirSync(join(projectRoot, folder), { recursive: true, encoding: 'utf8' })
    .filter((path) => ending.test(path) && !path.includes('node_modules'))
    .map((path) => join(projectRoot, folder, path))

t.test('a script that names its interpreter is executable', (t) => {
  const scripts = ['.ci', 'deploy', 'examples', 'loadtest', 'scripts'].flatMap((folder) =>
    filesIn(folder, /(^|\/)[^.]+$|\.sh$/),
  )
  const named = scripts.filter((path) => statSync(path).isFile() && readFileSync(path, 'latin1').startsWith('#!'))
  t.ok(named.length >= 5, `${named.length} scripts`)
  for (const path of named) t.ok(statSync(path).mode & 0o100, path)
  t.end()
})

t.test('a message names a script that the package has, and no script of npm that a user of the package lacks', (t) => {
  const { files } = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8'))
  const texts = [...filesIn('src', /\.(tsx?|yaml)$/), ...filesIn('deploy', /\.(yaml|json|service)$/)]
  for (const path of texts) {
    const text = readFileSync(path, 'utf8').replaceAll(/^ *(\/\/|\/?\*|#).*$/gm, '')
    for (const [, script] of text.matchAll(/(scripts\/[\w-]+\.mjs)/g))
      t.ok(files.includes(script), `${path}: ${script}`)
    for (const [line] of text.matchAll(/.*npm run .*/g)) t.match(line, /in a checkout|&& npm pack/i, path)
  }
  t.end()
})

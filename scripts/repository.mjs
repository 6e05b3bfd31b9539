// The address of the repository. A publisher edits it in one place, `repository.url` of package.json, and runs
//   node scripts/repository.mjs            which writes `bugs` and `homepage` of package.json; then chart-files.mjs
//   node scripts/repository.mjs --is URL   writes nothing; ends with 1 where the repository's page is not URL
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'

/**
 * The addresses that follow from a description as in package.json: `page` for people, `bugs` and `homepage`. `isPublic`
 * is false while the host is below `.example`, which is reserved for addresses that lead nowhere.
 */
export function repositoryOf({ repository }) {
  const page = repository.url.replace(/^git\+/, '').replace(/\.git$/, '')
  const isPublic = !new URL(page).hostname.endsWith('.example')
  return { page, bugs: `${page}/issues`, homepage: `${page}#readme`, isPublic }
}

function main() {
  const { values } = parseArgs({ options: { is: { type: 'string' } } })
  const file = join(import.meta.dirname, '../package.json')
  const description = JSON.parse(readFileSync(file, 'utf8'))
  const { page, bugs, homepage } = repositoryOf(description)
  if (values.is === undefined) writeFileSync(file, `${JSON.stringify({ ...description, bugs, homepage }, null, 2)}\n`)
  else if (values.is !== page) {
    console.error(
      `package.json names the repository ${page}, not ${values.is}: edit repository.url, and run node scripts/repository.mjs`,
    )
    process.exitCode = 1
  }
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) main()

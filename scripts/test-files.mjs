// The compiled test files: their tiers, and how a command line names them.
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { closestName } from '../build/src/schemas/closest-name.js'

/** The word before `.test` in a name; files without one are the unit tier. */
const tierOf = (file) => /\.(system|platform|full)\.test\.m?js$/.exec(file)?.[1] ?? 'unit'

export const isUnit = (file) => tierOf(file) === 'unit'

/** By option: the tiers that it runs. */
const tiers = {
  '--unit': ['unit'],
  '--system': ['unit', 'system'],
  '--platform': ['platform'],
  '--full': ['unit', 'system', 'platform', 'full'],
}

/** Every compiled test file, sorted. */
export function testFiles() {
  return readdirSync('build/test', { recursive: true })
    .filter((file) => file.endsWith('.test.js') && !file.includes('fixtures/'))
    .map((file) => join('build/test', file))
    .sort()
}

export const sourceOf = (file) => file.replace(/^build\/(.*)\.js$/, '$1.ts')

/**
 * The files that arguments choose among `all`: `[--unit|--system|--platform|--full] [NAME…]`. A name is a file, source
 * or compiled, or a part of a source's path, and chooses from every tier unless one is given. Throws if a name matches
 * nothing.
 */
export function chooseFiles(args, all) {
  const [first = '--system'] = args
  const tier = tiers[first]
  if (tier === undefined && first.startsWith('-'))
    throw new Error(`there is no option ${first}; there are ${Object.keys(tiers).join(', ')}`)
  const names = args.slice(tier === undefined ? 0 : 1)
  const candidates = tier === undefined ? all : all.filter((file) => tier.includes(tierOf(file)))
  return names.length === 0 ? candidates : [...new Set(names.flatMap((name) => filesNamed(name, candidates)))]
}

function filesNamed(name, all) {
  const path = name.replace(/^\.\//, '')
  const file = path.replace(/^(test\/.*)\.ts$/, 'build/$1.js')
  // Such as a file that is not below build/test.
  if (all.includes(file) || (/\.m?js$/.test(file) && existsSync(file))) return [file]
  const found = all.filter((candidate) => sourceOf(candidate).includes(path))
  if (found.length === 0) throw new Error(`no test file has ${name} in its path${hint(path, all.map(sourceOf))}`)
  return found
}

/** The files that a mistyped path may have meant, else the folders that there are. */
function hint(path, sources) {
  const names = [...new Set(sources.flatMap((source) => source.split(/[/.]/)))]
  const meant = path.split(/[/.]/).map((part) => closestName(part, names) ?? part)
  const near = sources.filter((source) => meant.every((part) => source.includes(part))).slice(0, 10)
  if (near.length > 0) return `; near it:\n${near.map((source) => `  ${source}`).join('\n')}`
  const folders = [...new Set(sources.map((source) => source.split('/')[1]))]
  return `; its folders are ${folders.filter((folder) => !folder.endsWith('.ts')).join(', ')}`
}

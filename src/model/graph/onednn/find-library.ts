import { createHash } from 'node:crypto'
import { closeSync, existsSync, fstatSync, openSync, readFileSync, readSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { userCache } from '../../../base/user-folders.ts'
import { OnednnUnavailable } from './errors.ts'

/** Environment variable: the path of oneDNN's shared library, or `off`. */
export const libraryVariable = 'MULTIGATE_ONEDNN'

/** SHA-256 of the library that `scripts/setup-onednn.mjs` installs. */
export const libraryDigest = 'e6376208cf6bacb041c346b504207e3aa1189a13f941c92a4383a55ac27058ae'

/** The command that puts the library there; the package has this script, too. */
const installer = '`node scripts/setup-onednn.mjs` in the folder of multigate'

/** Where `scripts/setup-onednn.mjs` puts the library; undefined for a user without a folder of caches. */
export function defaultLibrary(): string | undefined {
  const cache = userCache()
  return cache && join(cache, 'multigate/onednn-3.2/libdnnl.so.3')
}

/** The path of oneDNN's shared library on this machine, or why there is none to load. */
export function findLibrary(): { path: string } | { reason: string } {
  const named = process.env[libraryVariable]
  if (named === 'off') return { reason: `${libraryVariable} is off` }
  if (named)
    return statSync(named, { throwIfNoEntry: false })?.isFile()
      ? { path: named }
      : { reason: `${libraryVariable}: there is no file ${named}` }
  const path = defaultLibrary()
  return path !== undefined && existsSync(path)
    ? { path }
    : { reason: `oneDNN is not installed: ${installer} installs it` }
}

/*
 * Checks of a library before it is loaded: code that is not there, or is other code, would end the process.
 */

/** Places in the header of an ELF file of 64 bits, and in an entry of its table of segments, bytes. */
const header = { bytes: 64, segments: 0x20, sections: 0x28, segmentBytes: 0x36, segmentCount: 0x38, sectionBytes: 0x3a }
const segment = { type: 0, offset: 8, fileBytes: 32, loaded: 1 }

/** Throws OnednnUnavailable where a file is no shared library, or ends before its last part. */
export function checkIsWhole(path: string): void {
  const file = openSync(path, 'r')
  try {
    const { size } = fstatSync(file)
    const read = (start: number, bytes: number) => {
      const buffer = Buffer.alloc(bytes)
      if (start + bytes > size || readSync(file, buffer, 0, bytes, start) !== bytes) throw cutOff(path, size)
      return buffer
    }
    const start = Buffer.alloc(4)
    readSync(file, start, 0, 4, 0)
    if (start.toString('latin1') !== '\x7fELF') throw new OnednnUnavailable(`${path} is no shared library`)
    const head = read(0, header.bytes)
    const sections = Number(head.readBigUInt64LE(header.sections))
    // Their number follows their size. They lie at the end.
    const sectionsEnd = sections + head.readUInt16LE(header.sectionBytes) * head.readUInt16LE(header.sectionBytes + 2)
    if (sectionsEnd > size) throw cutOff(path, size)
    const bytes = head.readUInt16LE(header.segmentBytes)
    const count = head.readUInt16LE(header.segmentCount)
    const table = read(Number(head.readBigUInt64LE(header.segments)), bytes * count)
    for (let at = 0; at < table.length; at += bytes) {
      if (table.readUInt32LE(at + segment.type) !== segment.loaded) continue
      const end = table.readBigUInt64LE(at + segment.offset) + table.readBigUInt64LE(at + segment.fileBytes)
      if (end > size) throw cutOff(path, size)
    }
  } finally {
    closeSync(file)
  }
}

function cutOff(path: string, size: number): OnednnUnavailable {
  return new OnednnUnavailable(`${path} is cut off after ${size} bytes`)
}

/** Throws OnednnUnavailable where the library that the script installs is not what it was. Takes 0.1 s. */
export function checkIsUnchanged(path: string): void {
  if (path !== defaultLibrary()) return
  const digest = createHash('sha256').update(readFileSync(path)).digest('hex')
  if (digest !== libraryDigest) throw new OnednnUnavailable(`${path} is damaged: ${installer} replaces it`)
}

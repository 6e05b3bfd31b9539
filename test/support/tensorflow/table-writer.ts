import { concat } from '../../../src/base/arrays.ts'
import { createCrc32c } from '../../../src/model/graph/lower/tensorflow/sorted-table.ts'

/*
 * LevelDB's tables, written as its table_format.md says; how keys are cut and blocks compressed is the caller's choice.
 */

export interface TableOptions {
  /** Entries of a block. */
  perBlock: number
  /** Entries between two whole keys. */
  restartEvery: number
  compress?: (block: Uint8Array) => Uint8Array
}

/** A table of these entries, whose keys must ascend. */
export async function writeTable(
  entries: [key: string, value: Uint8Array][],
  { perBlock, restartEvery, compress }: TableOptions = { perBlock: 16, restartEvery: 4 },
): Promise<Uint8Array> {
  const crc = await createCrc32c()
  const parts: Uint8Array[] = []
  let offset = 0
  const add = (bytes: Uint8Array) => {
    parts.push(bytes)
    offset += bytes.length
  }
  const addBlock = (block: Uint8Array): Uint8Array => {
    const content = compress === undefined ? block : compress(block)
    const place = concat(Uint8Array, [varint(offset), varint(content.length)])
    const typed = concat(Uint8Array, [content, Uint8Array.of(compress === undefined ? 0 : 1)])
    crc.update(typed)
    add(typed)
    add(little(crc.masked()))
    return place
  }
  const index: [string, Uint8Array][] = []
  for (let i = 0; i < entries.length; i += perBlock) {
    const some = entries.slice(i, i + perBlock)
    index.push([some.at(-1)![0], addBlock(blockOf(some, restartEvery))])
  }
  const meta = addBlock(blockOf([], 1))
  const footer = concat(Uint8Array, [meta, addBlock(blockOf(index, 1))])
  add(concat(Uint8Array, [footer, new Uint8Array(40 - footer.length)]))
  add(Uint8Array.of(0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb))
  return concat(Uint8Array, parts)
}

function blockOf(entries: [string, Uint8Array][], restartEvery: number): Uint8Array {
  const parts: Uint8Array[] = []
  const restarts: number[] = []
  let size = 0
  let before = new Uint8Array(0)
  for (const [i, [text, value]] of entries.entries()) {
    const key = new TextEncoder().encode(text)
    let shared = 0
    if (i % restartEvery === 0) restarts.push(size)
    else while (shared < key.length && key[shared] === before[shared]) shared++
    const entry = concat(Uint8Array, [
      varint(shared),
      varint(key.length - shared),
      varint(value.length),
      key.subarray(shared),
      value,
    ])
    parts.push(entry)
    size += entry.length
    before = key
  }
  if (restarts.length === 0) restarts.push(0)
  return concat(Uint8Array, [...parts, ...restarts.map(little), little(restarts.length)])
}

export function varint(value: number): Uint8Array {
  const bytes: number[] = []
  let rest = value
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128)
  return Uint8Array.from([...bytes, rest])
}

function little(value: number): Uint8Array {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, value, true)
  return bytes
}

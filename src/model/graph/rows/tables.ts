import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { isExternal } from '../ir/constants.ts'
import { externalPlace } from '../ir/external-data.ts'
import type { Graph } from '../ir/graph.ts'
import { TensorProto_DataType as DataType } from '../ir/onnx_pb.ts'
import { NotTranslated } from './errors.ts'
import { sizes } from './tensor.ts'

export interface Table {
  rows: number
  /** Numbers of each row; undefined where a row is one number. */
  width: number | undefined
  kind: 'float32' | 'float16' | 'uint8' | 'int8'
  /** Its numbers, as they lie in memory. */
  bytes: Uint8Array
}

const kinds: Record<number, Table['kind']> = {
  [DataType.FLOAT]: 'float32',
  [DataType.FLOAT16]: 'float16',
  [DataType.UINT8]: 'uint8',
  [DataType.INT8]: 'int8',
}

/** Maps a part of a file into memory. Throws the system's error. */
export type MapFile = (file: number, start: number, bytes: number) => MappedFile

interface MappedFile {
  buffer: ArrayBuffer
  offset: number
  release(): void
}

/** Embedding tables: those in files are mapped, so that threads and processes share them. */
export class Tables {
  readonly #map: MapFile | undefined
  readonly #release: (() => void)[] = []

  /** Without `map`, all tables have to be in the graph. */
  constructor(map?: MapFile) {
    this.#map = map
  }

  /**
   * Throws NotTranslated where it is no list or matrix of such numbers, and the system's error where its file can't be
   * mapped.
   */
  open(graph: Graph, name: string): Table {
    const tensor = graph.constants.get(name)!
    const [rows, width, ...more] = tensor.dims.map(Number)
    const kind = kinds[tensor.dataType]
    if (kind === undefined || rows === undefined || more.length > 0)
      throw new NotTranslated(`the table ${name} is no list or matrix of floats or bytes`)
    if (!isExternal(tensor)) {
      const values = kind === 'float32' ? graph.floats(name)! : tensor.rawData
      return { rows, width, kind, bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength) }
    }
    if (this.#map === undefined) throw new NotTranslated(`the table ${name} is in a file`)
    const { location, start } = externalPlace(tensor)
    const file = openSync(join(graph.folder, location), 'r')
    try {
      const length = rows * (width ?? 1) * sizes[kind]
      const mapped = this.#map(file, start, length)
      this.#release.push(mapped.release)
      return { rows, width, kind, bytes: new Uint8Array(mapped.buffer, mapped.offset, length) }
    } finally {
      closeSync(file)
    }
  }

  close(): void {
    for (const release of this.#release.splice(0)) release()
  }
}

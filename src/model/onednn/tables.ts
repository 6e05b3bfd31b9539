import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { isExternal } from '../graph/constants.ts'
import { externalPlace } from '../graph/external-data.ts'
import type { Graph } from '../graph/graph.ts'
import { TensorProto_DataType as DataType } from '../graph/onnx_pb.ts'
import type { Library } from './library.ts'
import { NotTranslated } from './not-translated.ts'

export interface Table {
  rows: number
  width: number
  /** The bits of its float32 numbers. */
  values: Int32Array
}

/** Embedding tables: those in files are mapped, so that threads and processes share them. */
export class Tables {
  readonly #library: Library
  readonly #release: (() => void)[] = []

  constructor(library: Library) {
    this.#library = library
  }

  /** Throws NotTranslated where it is no float32 matrix, and the system's error where its file can't be mapped. */
  open(graph: Graph, name: string): Table {
    const tensor = graph.constants.get(name)!
    const [rows, width, ...more] = tensor.dims.map(Number) as [number, number]
    if (tensor.dataType !== DataType.FLOAT || width === undefined || more.length > 0)
      throw new NotTranslated(`the table ${name} is no float32 matrix`)
    if (!isExternal(tensor)) {
      const floats = graph.floats(name)!
      return { rows, width, values: new Int32Array(floats.buffer as ArrayBuffer, floats.byteOffset, floats.length) }
    }
    const { location, start } = externalPlace(tensor)
    const file = openSync(join(graph.folder, location), 'r')
    try {
      const mapped = this.#library.map(file, start, rows * width * 4)
      this.#release.push(mapped.release)
      return { rows, width, values: new Int32Array(mapped.buffer, mapped.offset, rows * width) }
    } finally {
      closeSync(file)
    }
  }

  close(): void {
    for (const release of this.#release.splice(0)) release()
  }
}

import { readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { GraphSource } from '../engines/engine.ts'
import { ModelError, reasonOf } from '../errors.ts'
import { Graph, isExternal } from './graph.ts'
import { readLayersModel } from './layers-model.ts'
import { lowerToGraph } from './lower.ts'
import { pathInside } from './path-inside.ts'
import { externalPlace } from './tables.ts'

/**
 * A saved graph, with one of its outputs alone (of an ONNX file its only one, where none is named): whatever only others
 * need is left out.
 *
 * Rejects like Engine.load, and with INVALID_BUNDLE for external data outside the folder.
 */
export async function readGraph(source: GraphSource, output: string | undefined): Promise<Graph> {
  const { folder, file, format } = source
  if (format === 'layers') {
    const wanted = output === undefined ? source.outputs : [output]
    return Graph.from(lowerToGraph(await readLayersModel(folder, file), wanted), folder)
  }
  const path = pathInside(folder, folder, file)
  const bytes = await readFile(path).catch((cause) => {
    throw new ModelError('INVALID_BUNDLE', `${file}: can't be read: ${reasonOf(cause)}`, { cause })
  })
  const graph = parse(bytes, dirname(path), file)
  const wanted = output === undefined ? graph.outputs.slice() : graph.outputs.filter(({ name }) => name === output)
  if (wanted.length === 0) throw new ModelError('INVALID_BUNDLE', `${file}: there is no output ${output ?? ''}`.trim())
  if (wanted.length > 1) {
    const names = wanted.map(({ name }) => name).join(', ')
    throw new ModelError('INVALID_REQUEST', `${file}: which of its outputs is meant, ${names}?`)
  }
  graph.outputs.splice(0, Infinity, ...wanted)
  graph.tidy()
  for (const tensor of graph.constants.values())
    if (isExternal(tensor)) pathInside(folder, graph.folder, externalPlace(tensor).location)
  return graph
}

function parse(bytes: Uint8Array, folder: string, file: string): Graph {
  try {
    return Graph.parse(bytes, folder)
  } catch (cause) {
    if (cause instanceof ModelError) throw new ModelError(cause.code, `${file}: ${cause.message}`, { cause })
    throw new ModelError('INVALID_BUNDLE', `${file}: is not an ONNX file`, { cause })
  }
}

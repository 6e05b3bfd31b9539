import type { LayerParts, PackedInput } from '../../contracts/compiled-plan.ts'
import type { ListLength } from '../../contracts/list-length.ts'
import type { Graph } from '../ir/graph.ts'
import type { NodeProto } from '../ir/onnx_pb.ts'
import type { FeatureFinder, Segment } from './columns.ts'

export type Side = 'context' | 'candidate' | 'cross'
/** Per input of the graph, the side of each column. */
export type Sides = Record<string, readonly Side[]>
/** By tensor, the sides that it depends on. */
export type Owners = ReadonlyMap<string, ReadonlySet<Side>>

/** A graph of which the regions are cut out: the parts that read the context alone or the candidate alone. */
export interface CutGraph {
  /** The graph before. */
  whole: Graph
  /**
   * The other nodes. Inputs: the graph's own, and [rows, width] for each tensor that they read from a region, and for
   * each mixed one.
   */
  rest: Graph
  /** Sides of the columns of all of the rest's inputs. */
  sides: Sides
  /** By those inputs of the rest: the tensor of the whole graph, [rows, …]. */
  regions: ReadonlyMap<string, string>
  /**
   * By other inputs of the rest, of side `cross`: the tensor of the rest, [rows, width], computed of both sides, that
   * products read beside columns of one.
   */
  mixed: ReadonlyMap<string, string>
  /** The sides that the whole graph's tensors depend on; none are known of a graph that is not cut. */
  owners: Owners
  /** The sides of which the outputs read columns. */
  read: ReadonlySet<Side>
  /** Features among the tensors of the two graphs. */
  features: { whole: FeatureFinder; rest: FeatureFinder }
}

export interface VariantGraph {
  graph: Graph
  /** Inputs of the context: one row per request. */
  context: PackedInput[]
  /** Inputs of each row. */
  rows: PackedInput[]
  /** The lengths that its lists are cut to. */
  lists?: ListLength[]
  /** It takes one request per call. */
  oneRequest?: true
  /** The replacement of each first layer's output. */
  replaced: Map<FirstLayer, string>
  /**
   * One input of the rest, computed from columns of these sides: the nodes of its region are added, a mixed tensor has
   * its own; undefined for other inputs.
   */
  region?: (input: string, wanted: Side[]) => string | undefined
  /** A tensor of a region that is given for each row. */
  given?: (input: string) => string | undefined
}

/** The variants of a graph that is split by side. */
export interface SplitGraphs {
  /** Rows of requests: context [requests, …], rows [rows, …], `planNames.requests`; if there are context columns. */
  shared_context: VariantGraph | undefined
  /**
   * The kept parts of candidates: one output `planNames.part(…)` [rows, width] per kept layer; if there are candidate
   * columns.
   */
  candidate_encoder: VariantGraph | undefined
  /**
   * The contexts' parts: output `planNames.contexts` [requests, …], concatenated over all layers that read the context;
   * if there are such layers and candidate columns.
   */
  context_encoder: VariantGraph | undefined
  /**
   * Rows with these two parts given: inputs `planNames.sum(…)` [rows, width], and cross columns; if there are candidate
   * columns.
   */
  cached: VariantGraph | undefined
  layers: LayerParts[]
}

/** A product of features: it reads only columns of the inputs. Mixed tensors count as inputs. */
export interface FirstLayer {
  gemm: NodeProto
  segments: Segment[]
  /** The tensor that a variant computes in another way: the product, or the ReLU after it. */
  output: string
}

/** Products that read the same features. */
export type Group = [FirstLayer, ...FirstLayer[]]
/** Adds replacements of each layer's `output` to a variant; returns their names. */
export type Emit = (plan: VariantGraph, group: Group) => string[]

/** Computes the first layers of each variant, in float32 or int8. */
export interface Emitter {
  shared_context: Emit
  /** `sum(layer)`: its sum over candidate and context, [rows, width]; undefined if it reads neither. */
  cached: (plan: VariantGraph, group: Group, sum: (layer: FirstLayer) => string | undefined) => string[]
  /** Called only for groups that read the candidate. */
  candidate_encoder: Emit
  /** Called only for groups that read the context. */
  context_encoder: Emit
  /** The products in regions; absent where they are computed as in the whole graph. */
  regions?: RegionEmitter
}

export interface RegionEmitter {
  /** Groups of products, by each output of the whole graph that is replaced. */
  groups: ReadonlyMap<string, Group>
  /** Adds replacements of each layer's `output`, computed from the columns of these sides; returns their names. */
  emit: (plan: VariantGraph, group: Group, wanted: Side[]) => string[]
}

import { createHash } from 'node:crypto'
import { dirname, join } from 'node:path'
import { describeData } from '../data/describe-data.ts'
import { hasParts } from '../data/parts.ts'
import { chooseQuantizationRows, quantizationFile } from '../data/quantization-rows.ts'
import { readRowsSpec } from '../data/read-spec.ts'
import { SpecError } from '../data/spec.ts'
import { encodeQuantizationRows, type QuantizationRows } from '../model/bundle/quantization.ts'
import type { Bundle } from '../model/bundle/read.ts'
import { writeBundle } from '../model/bundle/write.ts'
import { tooFew } from '../model/compile/int8/different-rows.ts'
import { removeTemporary } from '../model/compile/prepare.ts'
import { prepareInThread } from '../model/compile/prepare-in-thread.ts'
import type { CompiledPlan, Verdict } from '../model/contracts/compiled-plan.ts'
import { roundingNotes } from '../model/prediction/describe-plan.ts'
import { describeGraph, outputsOf, savedGraph } from '../model/prediction/load-graph.ts'
import type { Manifest } from '../schemas/manifest.ts'
import type { Precision, TableFormat } from '../schemas/precision.ts'
import { encodePart } from './encode-part.ts'
import { rowsOfPart } from './evaluate.ts'
import { formatVerdict } from './judge-precision.ts'
import { findVersion } from './local-predictor.ts'
import { copiedFiles, nextVersion, warnUnsigned } from './next-version.ts'
import { createProgress } from './progress.ts'
import { fieldsOf, notGoodEnough, type RowsOptions } from './run-evaluate.ts'
import { readRowsFor } from './session.ts'

export interface RunQuantizeOptions extends Omit<RowsOptions, 'seed' | 'report' | 'gate'> {
  target: string
  precision: Precision
  /** Default: as the version has them. */
  tables: TableFormat | undefined
  /** Most rows that are stored. */
  rows: number
  dryRun: boolean
}

/** What `--json` prints. */
interface QuantizeReport {
  model: string
  version: string
  /** Of the new version; null where none was written. */
  folder: string | null
  rows: number
  precision: Precision
  tables: TableFormat
  /** On this machine. */
  served: { precision: CompiledPlan['precision']; tables: TableFormat; products?: string | undefined }
  verdict?: Verdict | undefined
  tables_verdict?: Verdict | undefined
  notes: string[]
}

/**
 * `multigate quantize`: stores rows that set the scales of int8 and judge every precision, and writes the next version, with the same
 * graph in another precision. Resolves with the exit code: 3 if the precision or the tables fail their check, and nothing was written.
 */
export async function runQuantize(options: RunQuantizeOptions): Promise<number> {
  const { models, out, err, json, signal, dryRun } = options
  const loaded = await readRowsSpec(options.data, options.specs)
  const part = options.part ?? (hasParts(loaded.spec) ? 'validation' : 'all')
  if (part !== 'all' && !hasParts(loaded.spec))
    throw new SpecError(loaded.file, [{ path: '/split', message: `is missing, so there is no part ${part}` }])
  const progress = createProgress(err)
  try {
    progress.stage(`opening ${options.target}`)
    const bundle = await findVersion(options.target, models)
    const shared = await readRowsFor(loaded, [{ fields: fieldsOf(bundle) }], { signal, progress })
    const dataset = shared.datasetOf({ fields: fieldsOf(bundle) })
    const labelled = encodePart(bundle.manifest, loaded, dataset, rowsOfPart(dataset, part))
    const rows = chooseQuantizationRows(labelled, options.rows)
    const content = encodeQuantizationRows(rows)
    const manifest = await nextManifest(bundle, rows, describeData(loaded.spec.data), content, options)
    const described = describeGraph(manifest, rows)
    const few = tooFew(described.quantization!.judged)
    if (few !== undefined)
      throw new SpecError(loaded.file, [{ path: '/data', message: `half of the rows judge the precision: ${few}` }])
    progress.stage('compiling and judging')
    const { plan, problem, warnings } = await prepareInThread({
      ...described,
      source: savedGraph(bundle, outputsOf(manifest)),
      cache: options.cache,
      now: options.now(),
    })
    if (plan) await removeTemporary(plan)
    progress.stop()
    signal.throwIfAborted()
    const failed = plan === undefined ? wants(manifest) : hasFailed(plan, manifest)
    const folder = join(dirname(bundle.folder), manifest.version)
    if (!failed && !dryRun) {
      const { [quantizationFile]: _, ...others } = bundle.manifest.files
      const { files: __, ...next } = manifest
      const files = { ...copiedFiles(bundle, Object.keys(others)), [quantizationFile]: content }
      await writeBundle(folder, { manifest: next, files })
    }
    const report: QuantizeReport = {
      model: manifest.name,
      version: manifest.version,
      folder: failed || dryRun ? null : folder,
      rows: rows.rows,
      precision: manifest.precision,
      tables: manifest.tables ?? 'float32',
      served: {
        precision: plan?.precision ?? 'float32',
        tables: plan?.description.tableRows?.format ?? 'float32',
        products: plan?.products,
      },
      verdict: plan?.verdict,
      tables_verdict: plan?.description.tableRows?.verdict,
      notes: [
        ...warnings,
        ...(problem === undefined ? [] : [`the graph can't be compiled: ${problem}`]),
        ...(plan === undefined ? [] : roundingNotes(plan, manifest)),
      ],
    }
    out.write(`${json ? JSON.stringify(report, undefined, 2) : formatReport(report)}\n`)
    if (report.folder === null) err.write('nothing was written\n')
    else {
      err.write(`written to ${folder}\n`)
      warnUnsigned(bundle, folder, err)
    }
    return failed ? notGoodEnough : 0
  } finally {
    progress.stop()
  }
}

/** Whether the version asks for more than float32 of the compiler. */
const wants = ({ precision, tables = 'float32' }: Manifest) => precision !== 'float32' || tables !== 'float32'

/** bfloat16 that this machine can't compute has not failed: another may, and judges it then. */
function hasFailed({ description, precision, verdict }: CompiledPlan, manifest: Manifest): boolean {
  if (description.tableRows?.problem !== undefined) return true
  if (manifest.precision === 'auto' || manifest.precision === precision) return false
  return manifest.precision === 'int8' || verdict?.passed === false
}

/** The manifest of the next version. */
async function nextManifest(
  bundle: Bundle,
  { rows }: QuantizationRows,
  data: string,
  content: Uint8Array,
  { command, version, now, precision, tables = bundle.manifest.tables }: RunQuantizeOptions,
): Promise<Manifest> {
  const { manifest } = bundle
  // In the order in which they are written: servers find the plan that is compiled here.
  const { [quantizationFile]: _, ...files } = manifest.files
  return {
    ...manifest,
    version: await nextVersion(bundle),
    precision,
    ...(tables && { tables }),
    quantization: { file: quantizationFile, rows, labels: true },
    provenance: {
      ...manifest.provenance,
      created: new Date(now()).toISOString(),
      command,
      multigate: version,
      quantization: { from: `${manifest.name}/${manifest.version}`, data, rows },
    },
    files: { ...files, [quantizationFile]: createHash('sha256').update(content).digest('hex') },
  }
}

function formatReport({ model, version, rows, precision, tables, served, ...report }: QuantizeReport): string {
  const asked = tables === 'float32' ? precision : `${precision}, ${tables} tables`
  const computed = served.products === undefined ? '' : `, products by ${served.products}`
  return [
    `${model}/${version}: ${asked}, judged on half of ${rows} rows; this machine serves ${served.precision}${computed}`,
    ...report.notes,
    ...(report.verdict ? [formatVerdict(precision === 'auto' ? served.precision : precision, report.verdict)] : []),
    ...(report.tables_verdict ? [formatVerdict(`${tables} tables`, report.tables_verdict)] : []),
  ].join('\n')
}

import { Command, Option } from 'commander'
import type { CommandContext } from '../../base/command.ts'
import type { ExportFormat } from './export-model.ts'

interface ExportFlags {
  to: ExportFormat
  out: string
  models: string
  keras: '2' | '3'
  force: boolean
}

/** `multigate export` */
export function createExportCommand({ signal, out: stdout, err: stderr }: CommandContext): Command {
  return new Command('export')
    .description("export a version's graph to ONNX, TensorFlow.js or Keras; see docs/import-export.md")
    .argument('<model>', "the folder of a version or a model, or a model's name")
    .addOption(
      new Option('--to <format>', 'format to write').choices(['onnx', 'tfjs', 'keras-weights']).makeOptionMandatory(),
    )
    .requiredOption('--out <path>', 'file to write; for tfjs, folder')
    .option('--models <folder>', 'folder of models, for models given by name', 'models')
    .addOption(
      new Option('--keras <version>', 'for keras-weights: Keras version that loads them (2 stands for 2.15)')
        .choices(['2', '3'])
        .default('3'),
    )
    .option('--force', 'replace an existing file or folder', false)
    .addHelpText(
      'after',
      `
Examples:
  multigate export ads-funnel --to onnx --out ads-funnel.onnx
  multigate export models/ads-funnel/1 --to tfjs --out web/ads-funnel
  multigate export census-income --to keras-weights --out census.weights.h5

The export appears only after it answers the golden rows. Ids follow the manifest's fields, in consecutive ranges.`,
    )
    .action(async (target: string, { to, out, models, keras, force }: ExportFlags) => {
      const { runExport } = await import('./run-conversions.ts')
      await runExport({
        target,
        models,
        to,
        out,
        keras: keras === '2' ? 2 : 3,
        force,
        signal,
        stdout,
        stderr,
      })
    })
}

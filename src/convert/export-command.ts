import { Command, Option } from 'commander'
import type { ExportFormat } from './export-model.ts'

interface ExportFlags {
  to: ExportFormat
  out: string
  models: string
  keras: '2' | '3'
  force: boolean
}

/** `multigate export` */
export function createExportCommand(signal: AbortSignal): Command {
  return new Command('export')
    .description("write a version's graph as ONNX, TensorFlow.js or Keras read it; see docs/import-export.md")
    .argument('<model>', "the folder of a version or a model, or a model's name")
    .addOption(
      new Option('--to <format>', 'what to write').choices(['onnx', 'tfjs', 'keras-weights']).makeOptionMandatory(),
    )
    .requiredOption('--out <path>', 'the file, or for tfjs the folder')
    .option('--models <folder>', 'folder of the models that have names', 'models')
    .addOption(
      new Option('--keras <version>', "of keras-weights: whose layout, Keras 3's or Keras 2.15's")
        .choices(['2', '3'])
        .default('3'),
    )
    .option('--force', 'replace what is there already', false)
    .addHelpText(
      'after',
      `
Examples:
  multigate export ads-funnel --to onnx --out ads-funnel.onnx
  multigate export models/ads-funnel/1 --to tfjs --out web/ads-funnel
  multigate export ads-funnel --to keras-weights --out ads-funnel.weights.h5

What is written has answered the golden rows first. Ids are those of the manifest's fields, one range after the other.`,
    )
    .action(async (target: string, { to, out, models, keras, force }: ExportFlags) => {
      const { runExport } = await import('./commands.ts')
      await runExport({
        target,
        models,
        to,
        out,
        keras: keras === '2' ? 2 : 3,
        force,
        signal,
        stdout: process.stdout,
        stderr: process.stderr,
      })
    })
}

import { Command } from 'commander'
import { type CommandContext, wholeNumber } from '../../base/command.ts'
import { showWork } from '../../base/terminal.ts'
import type { SyncCommandOptions } from './run-sync.ts'

/** `multigate sync` */
export function createSyncCommand(context: CommandContext): Command {
  return new Command('sync')
    .description('keep a models folder a copy of a bucket, a web server, a registry or another folder')
    .argument(
      '<source>',
      's3://bucket/prefix, gs://bucket/prefix, https://…, oci://registry/repository:tag, or a folder',
    )
    .argument('<folder>', 'models folder that becomes the copy')
    .option('--once', 'copy what is new and exit; exit code 1 if the folder then holds no model')
    .option('--interval <seconds>', 'time between two comparisons', wholeNumber(1, 86_400), 60)
    .option('--keep <seconds>', 'how long a version stays after the source dropped it', wholeNumber(0, 31_536_000), 600)
    .option('--max-bytes <bytes>', 'most that the copies may take; default: what the disk has', wholeNumber(1, 2 ** 50))
    .option('--port <port>', 'port for /metrics and /livez; default: none', wholeNumber(0, 65_535))
    .option('--host <address>', 'its address; default: MULTIGATE_HOST, else 127.0.0.1')
    .addHelpText(
      'after',
      `
Examples:
  multigate index models                              list every file with its digest in models/index.json
  aws s3 sync models s3://bucket/models               publish: any tool does, as long as index.json goes last
  multigate sync s3://bucket/models /models           copy now and every minute
  multigate sync oci://registry/team/models:prod /models --once

Every file is checked against its SHA-256, and a version appears in one step. If the source is away, empty or wrong,
the folder stays unchanged. A version never changes: a changed one is refused, publish a new one.

Credentials: s3:// and gs:// find them as the tools of Amazon and Google do; AWS_ENDPOINT_URL_S3 names another S3 server.
https:// sends MULTIGATE_SYNC_TOKEN as a bearer token; oci:// uses those of docker login.`,
    )
    .action(async (source: string, folder: string, options: SyncCommandOptions) => {
      const { runSync } = await import('./run-sync.ts')
      context.exitCode = await runSync(source, folder, options, context.signal)
    })
}

/** `multigate index` */
export function createIndexCommand({ out, err }: CommandContext): Command {
  return new Command('index')
    .description('list the files of a models folder with their digests, for multigate sync')
    .argument('<folder>', 'models folder, laid out as <name>/<version>/')
    .addHelpText(
      'after',
      `
Examples:
  multigate index models

Writes <folder>/index.json, and <folder>/.tables/index.json where there are feature tables. Upload them after the files
that they list, index.json last.`,
    )
    .action(async (folder: string) => {
      const { indexFile, writeIndex } = await import('./index-file.ts')
      const { tablesIndexFile, writeTablesIndex } = await import('./tables-index.ts')
      const [tables, { models, versions, bytes }] = await showWork(err, `reading ${folder}`, async () => [
        await writeTablesIndex(folder),
        await writeIndex(folder),
      ])
      const sizes = (versions: number, bytes: number) => `${versions} versions, ${(bytes / 1e6).toFixed(1)} MB\n`
      if (tables)
        out.write(`${folder}/${tablesIndexFile}: ${tables.tables} tables, ${sizes(tables.versions, tables.bytes)}`)
      out.write(`${folder}/${indexFile}: ${models} models, ${sizes(versions, bytes)}`)
    })
}

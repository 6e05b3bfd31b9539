import { Command, InvalidArgumentError, Option } from 'commander'
import { withoutUndefined } from '../../base/arrays.ts'
import { type CommandContext, numberFrom } from '../../base/command.ts'
import type { KeyEntry, Scope } from '../../schemas/keys.ts'

interface CreateOptions {
  file: string
  scope: Scope[]
  model?: string[]
  expires?: string
  requestsPerSecond?: number
  rowsPerSecond?: number
  concurrentRequests?: number
  queueShare?: number
  cacheShare?: number
}

const scopes = ['predict', 'metrics', 'admin']
const parseRate = numbers('a number of at least 0.001', (rate) => rate >= 0.001 && rate <= 1e9)
const parseShare = numberFrom(0.001, 1)
const parseCount = numbers(
  'a whole number of at least 1',
  (count) => Number.isInteger(count) && count >= 1 && count <= 1_000_000,
)
const fileOption = () => new Option('--file <file>', 'file of keys').env('MULTIGATE_KEYS').default('keys.json')

/** `multigate keys` */
export function createKeysCommand({ out, err }: CommandContext): Command {
  const keys = new Command('keys').description('create, list and revoke the keys of clients')
  keys.addHelpText(
    'after',
    `
Examples:
  multigate keys create ranking-backend --file keys.json
  multigate keys list --file keys.json`,
  )
  keys
    .command('create')
    .description('add a key to the file, and print it: it is shown once, and stored nowhere')
    .argument('<id>', 'what to call it in logs and metrics', parseId)
    .addOption(new Option('--scope <scope...>', 'what it opens').choices(scopes).default(['predict']))
    .option('--model <name...>', 'the only models that it opens')
    .option('--expires <when>', 'ISO 8601 time, or days from now: 90d', parseExpiry)
    .option('--requests-per-second <n>', 'limit, over all processes of a service', parseRate)
    .option('--rows-per-second <n>', 'limit, over all processes of a service', parseRate)
    .option('--concurrent-requests <n>', 'requests at a time, in each process of a service', parseCount)
    .option('--queue-share <n>', "largest share of a model's queue, 0.001 to 1", parseShare)
    .option('--cache-share <n>', "largest share of a model's candidate cache, 0.001 to 1", parseShare)
    .addOption(fileOption())
    .addHelpText(
      'after',
      `
Examples:
  multigate keys create ranking-backend --file keys.json
  multigate keys create prometheus --scope metrics --expires 365d
  multigate keys create team-b --model ads-funnel --rows-per-second 50000
  multigate keys create backfill --concurrent-requests 2 --rows-per-second 5000 --queue-share 0.2 --cache-share 0.1

Servers with MULTIGATE_KEYS=<file> follow within seconds. Clients send Authorization: Bearer <key>, or x-api-key: <key>.`,
    )
    .action(async (id: string, { file, ...options }: CreateOptions) => {
      const { addKey } = await import('./edit-keys.ts')
      const { key, created } = await addKey(file, entryOf(id, options))
      err.write(`${created ? `Created ${file}. ` : ''}Added ${id} to ${file}. This is its key; it is shown only now:\n`)
      out.write(`${key}\n`)
    })
  keys
    .command('list')
    .description('list the keys of the file')
    .addOption(fileOption())
    .addHelpText('after', '\nExamples:\n  multigate keys list\n  multigate keys list --file /etc/multigate/keys.json')
    .action(async ({ file }: { file: string }) => {
      const { describeKeys } = await import('./edit-keys.ts')
      out.write(`${await describeKeys(file)}\n`)
    })
  keys
    .command('revoke')
    .description('remove a key from the file')
    .argument('<id>', 'its id')
    .addOption(fileOption())
    .addHelpText('after', '\nExamples:\n  multigate keys revoke ranking-backend --file keys.json')
    .action(async (id: string, { file }: { file: string }) => {
      const { removeKey } = await import('./edit-keys.ts')
      await removeKey(file, id)
      out.write(`The key ${id} is revoked. Servers follow within seconds.\n`)
    })
  return keys
}

function entryOf(id: string, options: Omit<CreateOptions, 'file'>): Omit<KeyEntry, 'sha256'> {
  const { scope, model, expires } = options
  return withoutUndefined({
    id,
    scopes: [...new Set(scope)],
    models: model && [...new Set(model)],
    created: new Date().toISOString(),
    expires,
    requests_per_second: options.requestsPerSecond,
    rows_per_second: options.rowsPerSecond,
    concurrent_requests: options.concurrentRequests,
    queue_share: options.queueShare,
    cache_share: options.cacheShare,
  })
}

function parseId(value: string): string {
  if (/^[A-Za-z0-9_.-]{1,64}$/.test(value)) return value
  throw new InvalidArgumentError('must be 1 to 64 letters, digits, dots, dashes and underscores.')
}

const dayMs = 86_400_000

function parseExpiry(value: string): string {
  const [, days] = /^(\d{1,5})d$/.exec(value) ?? []
  const time = days === undefined ? Date.parse(value) : Date.now() + Number(days) * dayMs
  if (Number.isNaN(time)) throw new InvalidArgumentError('must be an ISO 8601 time, such as 2027-01-31, or days: 90d.')
  if (time <= Date.now()) throw new InvalidArgumentError('is in the past.')
  return new Date(time).toISOString()
}

/** A parser of numbers; `what`: those that it takes. */
function numbers(what: string, takes: (value: number) => boolean): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (text.trim() !== '' && takes(value)) return value
    throw new InvalidArgumentError(`must be ${what}.`)
  }
}

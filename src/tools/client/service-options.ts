import { type Command, InvalidArgumentError, Option } from 'commander'
import type { ServiceAddress } from './service-client.ts'

/** How to reach a service, as the command line gives it. */
export interface GivenService {
  url?: string
  keyFile?: string
  ca?: string
  clientCert?: string
  clientKey?: string
}

/**
 * Adds `--url` and what belongs to it. `purpose`: of `--url`, for the help; `conflicts`: options that don't go with
 * it.
 */
export function addServiceOptions(command: Command, purpose: string, conflicts: string[] = []): Command {
  return command
    .addOption(new Option('--url <address>', purpose).argParser(parseUrl).conflicts(conflicts))
    .option('--key-file <file>', 'file of an API key, for --url')
    .option('--ca <file>', 'certificate authorities (PEM) to trust, for --url')
    .option('--client-cert <file>', 'client certificate (PEM) for mutual TLS, for --url')
    .option('--client-key <file>', "the client certificate's private key (PEM), for --url")
}

/** Undefined without `--url`. */
export function serviceOf({ url, keyFile, ca, clientCert, clientKey }: GivenService): ServiceAddress | undefined {
  return url === undefined ? undefined : { url, keyFile, ca, clientCert, clientKey }
}

function parseUrl(value: string): string {
  if (URL.canParse(value) && /^https?:/.test(value)) return value
  throw new InvalidArgumentError('must be an http:// or https:// address.')
}

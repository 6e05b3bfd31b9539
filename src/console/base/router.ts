import { signal } from '@preact/signals'

/** Where the reader is: all of it in the fragment, which no server sees. */
export interface Route {
  /** `#/models/ads-funnel/1` → `models`. */
  page: string
  /** → `['ads-funnel', '1']`. */
  path: string[]
  /** `#/playground/ads-funnel?state=…` → its parameters. */
  query: URLSearchParams
}

export const route = signal(parse(location.hash))

addEventListener('hashchange', () => {
  route.value = parse(location.hash)
})

/** The link to a page: `hrefOf('models', ['ads-funnel'])`. */
export function hrefOf(page: string, path: readonly string[] = [], query: Record<string, string> = {}): string {
  const search = new URLSearchParams(query).toString()
  return `#/${[page, ...path].map(encodeURIComponent).join('/')}${search === '' ? '' : `?${search}`}`
}

/** Replaces the address without a step in the history: the state of a page that its reader may share. */
export function replaceAddress(page: string, path: readonly string[], query: Record<string, string>): void {
  history.replaceState(history.state, '', hrefOf(page, path, query))
}

/** Opens something in the page, as a step in the history: back closes it. */
export function openAddress(page: string, path: readonly string[], query: Record<string, string>): void {
  history.pushState({ opened: true }, '', hrefOf(page, path, query))
}

/** Goes back to where `openAddress` was called. False where the reader came another way, such as by a link. */
export function closeAddress(): boolean {
  if (history.state?.opened !== true) return false
  history.back()
  return true
}

function parse(hash: string): Route {
  const [path = '', search = ''] = hash.replace(/^#\/?/, '').split('?', 2)
  const [page = '', ...rest] = path
    .split('/')
    .filter((part) => part !== '')
    .map(decode)
  return { page: page === '' ? 'live' : page, path: rest, query: new URLSearchParams(search) }
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

import type { ComponentType } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { askForKey, base, key, keyAsked, setKey } from '../api/client.ts'
import { hrefOf, type Route, route } from '../base/router.ts'
import { nextTheme, theme } from '../base/theme.ts'
import { Dialog } from '../parts/dialog.tsx'
import { Loading } from '../parts/states.tsx'

/** The frame of all pages. */
export function Shell() {
  const { value: current } = route
  const page = pages.find(({ name }) => name === current.page)
  const [shown, setShown] = useState<{ name: string; Page: ComponentType<PageProps> }>()
  const main = useRef<HTMLElement>(null)
  const visited = useRef(false)

  useEffect(() => {
    document.title = page === undefined ? 'Not found · multigate' : `${page.title} · multigate`
    let left = false
    page?.load().then((Page) => {
      if (left) return
      setShown({ name: page.name, Page })
      // Screen readers announce each page that their reader goes to, but not the first.
      if (visited.current) main.current?.focus()
      visited.current = true
    })
    return () => {
      left = true
    }
  }, [page])

  return (
    <>
      <button type="button" class="skip" onClick={() => main.current?.focus()}>
        Skip to the page
      </button>
      <Navigation current={current.page} />
      <main ref={main} id="main" tabIndex={-1} aria-label={page?.title ?? 'Not found'}>
        {page === undefined ? (
          <NotFound />
        ) : shown?.name === page.name ? (
          <shown.Page route={current} />
        ) : (
          <Loading what={page.title} />
        )}
      </main>
      <KeyForm />
    </>
  )
}

function NotFound() {
  return (
    <div class="page">
      <h1>There is no such page</h1>
      <p>
        <a href="#/live">Live figures</a> are a good place to start.
      </p>
    </div>
  )
}

/** A page below another marks that one. */
function currentOf(name: string, current: string): 'page' | 'true' | undefined {
  if (name === current) return 'page'
  return pages.some((page) => page.name === current && page.under === name) ? 'true' : undefined
}

const themeNames = { auto: 'as the system', light: 'light', dark: 'dark' }

function Navigation({ current }: { current: string }) {
  return (
    <header class="navigation">
      <a class="brand" href="#/live">
        <svg viewBox="0 0 16 16" width="20" height="20" aria-hidden="true">
          <path d="M2 13V3l6 6 6-6v10" />
        </svg>
        multigate
      </a>
      <nav aria-label="Pages">
        {pages
          .filter(({ under }) => under === undefined)
          .map(({ name, title }) => (
            <a key={name} href={hrefOf(name)} aria-current={currentOf(name, current)}>
              {title}
            </a>
          ))}
        <a href={new URL('docs', base).href}>API</a>
      </nav>
      <div class="tools">
        {key.value === '' ? (
          <button type="button" class="quiet" onClick={() => askForKey('Requests of this tab will carry it.')}>
            Key
          </button>
        ) : (
          <button type="button" class="quiet" onClick={() => setKey('')}>
            Forget key
          </button>
        )}
        <button type="button" class="quiet" aria-label={`Colours: ${themeNames[theme.value]}`} onClick={nextTheme}>
          {theme.value === 'auto' ? '◐' : theme.value === 'light' ? '☀' : '☾'}
        </button>
      </div>
    </header>
  )
}

/** Asks for a key where the server wants one. */
function KeyForm() {
  const reason = keyAsked.value
  return (
    <Dialog
      id="key-title"
      title="Key"
      isOpen={reason !== undefined}
      submit="Use this key"
      cancel="Not now"
      onSubmit={(form) => {
        const field = form.elements.namedItem('key') as HTMLInputElement
        setKey(field.value.trim())
        field.value = ''
      }}
      onClose={() => (keyAsked.value = undefined)}
    >
      <p>{reason} The tab keeps it until you close it; nothing else does.</p>
      <label>
        Key
        <input name="key" type="password" autocomplete="off" required spellcheck={false} />
      </label>
    </Dialog>
  )
}

export interface PageProps {
  route: Route
}

export interface Page {
  name: string
  title: string
  /** The page that leads to it: it is not in the navigation itself. */
  under?: string
  load(): Promise<ComponentType<PageProps>>
}

/** Pages in the order of the navigation; each is loaded when it is first shown. */
export const pages: readonly Page[] = [
  { name: 'live', title: 'Live', load: async () => (await import('../pages/live/live.tsx')).LivePage },
  { name: 'models', title: 'Models', load: async () => (await import('../pages/models/models.tsx')).ModelsPage },
  {
    name: 'tables',
    title: 'Feature tables',
    under: 'models',
    load: async () => (await import('../pages/tables/tables.tsx')).TablesPage,
  },
  {
    name: 'playground',
    title: 'Playground',
    load: async () => (await import('../pages/playground/playground.tsx')).PlaygroundPage,
  },
  {
    name: 'requests',
    title: 'Requests',
    load: async () => (await import('../pages/requests/requests.tsx')).RequestsPage,
  },
  {
    name: 'log',
    title: 'Prediction log',
    load: async () => (await import('../pages/prediction-log/prediction-log.tsx')).PredictionLogPage,
  },
]

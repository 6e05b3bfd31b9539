import { base } from '../api/client.ts'
import { key, keyAsked, setKey } from '../api/key.ts'
import { hrefOf } from '../base/router.ts'
import { nextTheme, theme } from '../base/theme.ts'
import { pages } from './pages.ts'

const themeNames = { auto: 'as the system', light: 'light', dark: 'dark' }

export function Navigation({ current }: { current: string }) {
  return (
    <header class="navigation">
      <a class="brand" href="#/live">
        <svg viewBox="0 0 16 16" width="20" height="20" aria-hidden="true">
          <path d="M2 13V3l6 6 6-6v10" />
        </svg>
        multigate
      </a>
      <nav aria-label="Pages">
        {pages.map(({ name, title }) => (
          <a key={name} href={hrefOf(name)} aria-current={name === current ? 'page' : undefined}>
            {title}
          </a>
        ))}
        <a href={new URL('docs', base).href}>API</a>
      </nav>
      <div class="tools">
        {key.value !== '' && (
          <button type="button" class="quiet" onClick={() => setKey('')}>
            Forget key
          </button>
        )}
        {key.value === '' && (
          <button type="button" class="quiet" onClick={() => (keyAsked.value = 'Requests of this tab will carry it.')}>
            Key
          </button>
        )}
        <button type="button" class="quiet" aria-label={`Colours: ${themeNames[theme.value]}`} onClick={nextTheme}>
          {theme.value === 'auto' ? '◐' : theme.value === 'light' ? '☀' : '☾'}
        </button>
      </div>
    </header>
  )
}

import type { ComponentType } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { route } from '../base/router.ts'
import { Loading } from '../parts/states.tsx'
import { KeyForm } from './key-form.tsx'
import { Navigation } from './navigation.tsx'
import { type PageProps, pages } from './pages.ts'

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
      // Readers of a screen hear where they are; not when they arrive.
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

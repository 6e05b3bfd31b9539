import type { Route } from '../../base/router.ts'
import { ModelList } from './model-list.tsx'
import { VersionPage } from './version-page.tsx'

/** `#/models`, and `#/models/<model>[/<version>][?against=<version>][&section=<section>]`. */
export function ModelsPage({ route: { path, query } }: { route: Route }) {
  const [model, version] = path
  if (model === undefined) return <ModelList />
  return (
    <VersionPage
      key={`${model}/${version ?? ''}`}
      {...{ model, version }}
      against={query.get('against') ?? undefined}
      section={query.get('section') ?? undefined}
    />
  )
}

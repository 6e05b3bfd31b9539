import type { ComponentType } from 'preact'
import type { Route } from '../base/router.ts'

export interface PageProps {
  route: Route
}

export interface Page {
  name: string
  title: string
  load(): Promise<ComponentType<PageProps>>
}

/** Pages in the order of the navigation; each is loaded when it is first shown. */
export const pages: readonly Page[] = [
  { name: 'live', title: 'Live', load: async () => (await import('../pages/live/live.tsx')).LivePage },
  { name: 'models', title: 'Models', load: async () => (await import('../pages/models/models.tsx')).ModelsPage },
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
]

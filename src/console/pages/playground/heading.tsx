import type { ComponentChildren } from 'preact'
import type { Schemas } from '../../api/client.ts'
import type { Target } from './form.ts'

type ModelStatus = Schemas['ModelStatus']

interface HeadingProps {
  models: readonly ModelStatus[]
  target: Target
  onTarget(target: Target): void
  children?: ComponentChildren
}

/** Chooses the model and the version. */
export function Heading({ models, target, onTarget, children }: HeadingProps) {
  const model = models.find(({ name }) => name === target.model)
  const versions = answering(model)
  return (
    <>
      <div class="heading">
        <h1>Playground</h1>
        {children}
      </div>
      <p class="muted">
        Ask a model what you like, change a value, and see what its answers do. Nothing you type is stored on the
        server.
      </p>
      <div class="targets">
        <label>
          Model
          <select value={target.model} onChange={(event) => onTarget({ model: event.currentTarget.value })}>
            {model === undefined && <option value={target.model}>{target.model}</option>}
            {models.map(({ name }) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </select>
        </label>
        {(versions.length > 1 || target.version !== undefined) && (
          <label>
            Version
            <select
              value={target.version ?? ''}
              onChange={(event) => onTarget({ model: target.model, version: event.currentTarget.value || undefined })}
            >
              <option value="">{`default (${model?.default_version ?? 'none'})`}</option>
              {target.version !== undefined && !versions.includes(target.version) && (
                <option value={target.version}>{target.version}</option>
              )}
              {versions.map((version) => (
                <option key={version} value={version}>
                  {version}
                </option>
              ))}
            </select>
          </label>
        )}
      </div>
    </>
  )
}

/** Versions that answer. */
export function answering(model: ModelStatus | undefined): string[] {
  return model?.versions.filter(({ state }) => state === 'ready').map(({ version }) => version) ?? []
}

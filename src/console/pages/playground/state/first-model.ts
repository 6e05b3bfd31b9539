/** The bundled model that shows most: what a user clicked changes the answers. */
const mostTelling = 'ads-history'

/** The name of the model that the playground begins with; undefined where none can be asked. */
export function firstModel(
  models: readonly { name: string; default?: boolean; default_implied?: boolean | undefined; answers: boolean }[],
): string | undefined {
  const answering = models.filter(({ answers }) => answers)
  const byDefault = models.find((model) => model.default)
  const telling = answering.find(({ name }) => name === mostTelling)
  if (byDefault === undefined || byDefault.default_implied) return (telling ?? byDefault ?? answering[0])?.name
  return byDefault.name
}

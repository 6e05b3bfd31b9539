/** The bundled model that shows most: what a user clicked changes the answers. */
const mostTelling = 'ads-history'
/** The default model where none is set. */
const impliedDefault = 'ads-funnel'

/** The name of the model that the playground begins with; undefined where none can be asked. */
export function firstModel(
  models: readonly { name: string; default?: boolean | undefined; answers: boolean }[],
): string | undefined {
  const answering = models.filter(({ answers }) => answers)
  const byDefault = models.find((model) => model.default)
  const telling = answering.find(({ name }) => name === mostTelling)
  if (byDefault === undefined || byDefault.name === impliedDefault) return (telling ?? byDefault ?? answering[0])?.name
  return byDefault.name
}

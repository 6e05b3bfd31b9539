/** The bundled model that shows most: what a user clicked changes the answers. */
const mostTelling = 'ads-history'

/** The name of the model that the playground begins with; undefined where none can be asked. */
export function firstModel(
  models: readonly { name: string; default?: boolean | undefined; answers: boolean }[],
): string | undefined {
  const answering = models.filter(({ answers }) => answers)
  const first =
    models.find((model) => model.default) ?? answering.find(({ name }) => name === mostTelling) ?? answering[0]
  return first?.name
}

/** The settings of a laptop: every part in `local/`, on its fixed port. What `npm start` takes where nothing else is set. */
import { allDeclarations, declarations } from '../shared/settings/declarations.ts'

/** By the setting's name, in the order of docs/settings.md. */
export const localDefaults: Readonly<Record<string, string>> = Object.fromEntries(
  allDeclarations.flatMap(({ name, local }) => (local === undefined ? [] : [[name, local]])),
)

/**
 * What is set, over what is built in. A setting under its older name takes the place of the built-in one under the
 * newer name, or the two would contradict each other; another provider, that of all that is about Entra ID.
 */
export function withLocalDefaults(
  environment: Readonly<Record<string, string | undefined>>,
): Record<string, string | undefined> {
  const isOther = (environment[declarations.authority.name] ?? '') !== ''
  const defaults = allDeclarations
    .filter(({ about }) => !isOther || about !== 'Entra ID')
    .filter(
      ({ name, olderName }) => environment[name] === undefined && (!olderName || environment[olderName] === undefined),
    )
    .flatMap(({ name, local }) => (local === undefined ? [] : [[name, local] as const]))
  return { ...environment, ...Object.fromEntries(defaults) }
}

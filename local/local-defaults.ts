/** The settings of a laptop: every part in `local/`, on its fixed port. `npm start` uses them as defaults. */
import { allDeclarations, declarations } from '../shared/settings/declarations.ts'

/** By the setting's name, in the order of docs/settings.md. */
export const localDefaults: Readonly<Record<string, string>> = Object.fromEntries(
  allDeclarations.flatMap(({ name, local }) => (local === undefined ? [] : [[name, local]])),
)

/**
 * Merges the environment with the defaults; the environment wins. A setting under its older name replaces the default
 * under the newer name, or the two would contradict each other. Another provider replaces all defaults for Entra ID.
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

/** Keeps secrets in a developer's shell away from the broker: they belong to other programs. */
import { findForeignSecrets } from '../shared/settings/secrets.ts'

/**
 * Deletes the secrets from `shell`, so that no process of `npm start` inherits them, and warns about each. The same
 * name in local.settings.json is a setting of the app, and stays refused.
 *
 * @param shell usually `process.env`
 */
export function dropShellSecrets(shell: NodeJS.ProcessEnv, warn: (line: string) => void): void {
  for (const name of findForeignSecrets(shell)) {
    Reflect.deleteProperty(shell, name)
    warn(
      `Warning: ${name} in the environment of this shell contains a secret. It is not used: the broker authenticates with the certificate in the vault. As an app setting it would be refused.`,
    )
  }
}

/** Observes the vault: times and counts each call. */
import { noTelemetry } from '../telemetry/telemetry.ts'
import type { Telemetry } from '../telemetry/telemetry.ts'
import type { KeyVault } from './key-vault/vault.key-vault.ts'

/** @param target host of the vault */
export function observeVault(vault: KeyVault, telemetry: Telemetry, target: string): KeyVault {
  if (telemetry === noTelemetry) return vault
  const observe = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    let outcome = 'failed'
    try {
      const result = await telemetry.span({ name, type: 'Azure key vault', target }, work)
      outcome = 'succeeded'
      return result
    } finally {
      telemetry.count('broker.vault.calls', { operation: name, outcome })
    }
  }
  return {
    listVersions: () => observe('list versions', () => vault.listVersions()),
    readCertificate: (version) => observe('read certificate', () => vault.readCertificate(version)),
    sign: (version, digest, algorithm) => observe('sign', () => vault.sign(version, digest, algorithm)),
    readWrappingKey: (version) => observe('read wrapping key', () => vault.readWrappingKey(version)),
    wrap: (key, version) => observe('wrap', () => vault.wrap(key, version)),
    unwrap: (wrapped, version) => observe('unwrap', () => vault.unwrap(wrapped, version)),
    signRow: (digest, version) => observe('sign row', () => vault.signRow(digest, version)),
  }
}

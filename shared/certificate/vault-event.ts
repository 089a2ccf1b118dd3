/**
 * Reads events of Event Grid about the certificate. An event only starts a run, which reads the vault: a forged,
 * repeated or late event has no effect.
 */
import { isObject } from '../json/json.ts'
import { isVersionId } from '../vault/vault.ts'

export type CertificateNews = 'new version' | 'near expiry'

interface WatchedCertificate {
  readonly vaultUrl: string
  readonly certificateName: string
}

const kinds: Readonly<Record<string, CertificateNews>> = {
  'Microsoft.KeyVault.CertificateNewVersionCreated': 'new version',
  'Microsoft.KeyVault.CertificateNearExpiry': 'near expiry',
  'Microsoft.KeyVault.CertificateExpired': 'near expiry',
}

/**
 * @param event in either of Event Grid's schemas; untrusted
 * @returns undefined for an event about another certificate or vault
 */
export function readVaultEvent(event: unknown, watched: WatchedCertificate): CertificateNews | undefined {
  if (!isObject(event)) return undefined
  const { eventType, type, data } = event
  const kind = typeof eventType === 'string' ? eventType : type
  if (typeof kind !== 'string' || !isObject(data)) return undefined
  const { Id: id } = data
  if (typeof id !== 'string' || !URL.canParse(id)) return undefined

  const { origin, pathname } = new URL(id)
  const [area, name, version, ...more] = pathname.slice(1).split('/')
  const isOurs =
    origin === new URL(watched.vaultUrl).origin &&
    area === 'certificates' &&
    name?.toLowerCase() === watched.certificateName.toLowerCase() &&
    isVersionId(version) &&
    more.length === 0
  return isOurs && Object.hasOwn(kinds, kind) ? kinds[kind] : undefined
}

/**
 * Versions of the broker's certificate, and the choice among them while there is no record. With a record,
 * shared/certificate/certificate-state.ts decides.
 */
import { BrokerError } from '../errors/errors.ts'
import type { SignerVersion } from '../certificate/signed-jwt.ts'
import type { CertificateVersion } from '../vault/vault.ts'

/** The version that signs. */
export interface SigningVersion extends SignerVersion {
  readonly expires: number
}

/**
 * Of the enabled versions that are valid now, the newest.
 *
 * @throws {BrokerError} `certificate_missing`, `certificate_disabled`, `certificate_without_dates`,
 *   `certificate_not_yet_valid`, `certificate_expired`: each has a remedy of its own
 */
export function chooseVersion(versions: readonly CertificateVersion[], now: number): CertificateVersion {
  if (versions.length === 0) throw new BrokerError('certificate_missing')
  const enabled = versions.filter((version) => version.enabled)
  if (enabled.length === 0) throw new BrokerError('certificate_disabled')

  // A version without dates is not skipped: otherwise a renewal that makes unusable versions would go unnoticed. (While
  // another version is accepted, sign-ins use that one, and a warning is logged.)
  const dated = enabled.map((version) => {
    const { notBefore, expires } = version
    if (notBefore === undefined || expires === undefined) {
      throw new BrokerError('certificate_without_dates', { detail: `version ${version.version}` })
    }
    return { ...version, notBefore, expires }
  })

  const valid = dated.filter(({ notBefore, expires }) => notBefore <= now && now < expires)
  const newest = valid.sort(byAgeOfListed)[0]
  if (newest) return newest
  throw new BrokerError(
    dated.some(({ notBefore }) => notBefore > now) ? 'certificate_not_yet_valid' : 'certificate_expired',
  )
}

/** Newest first. */
export function byAgeOfListed(a: CertificateVersion, b: CertificateVersion): number {
  return b.created - a.created || (b.notBefore ?? 0) - (a.notBefore ?? 0)
}

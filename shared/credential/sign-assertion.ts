/**
 * Signs one client assertion with one version of the certificate, in the form that a provider requires. RFC 7523 §3.
 */
import { randomUUID } from 'node:crypto'
import { BoundedMap } from '../async/bounded-map.ts'
import { sha1NamesOf } from '../certificate/certificate-facts.ts'
import { defined } from '../json/json.ts'
import { readOwnCertificate, signJwt } from '../certificate/signed-jwt.ts'
import type { SignerVersion } from '../certificate/signed-jwt.ts'
import type { AssertionType } from '../settings/assertion-types.ts'
import type { CertificateVault, SigningAlgorithm } from '../vault/vault.ts'

export interface ClientAssertion {
  readonly jwt: string
  /** Of the version that signed: `x5t#S256`. undefined for a token of the second credential (credential-list.ts). */
  readonly thumbprint: string | undefined
  /** Seconds since the epoch, as in the JWT. */
  readonly issuedAt: number
  readonly expires: number
}

export type AssertionAlgorithm = SigningAlgorithm

/** RFC 7515 §4.1.7 and §4.1.8. */
export type CertificateHeader = 'x5t' | 'x5t#S256'

/** Requirements of a provider on assertions. */
export interface AssertionForm {
  readonly algorithm: AssertionAlgorithm
  /** True where the header has `kid`, as in /.well-known/jwks.json, for a provider that reads the keys there. */
  readonly keyId: boolean
  /** `JWT` where it is left out. */
  readonly type?: AssertionType | undefined
  /** `x5t`: the header names the certificate by SHA-1, for a provider that does not read `x5t#S256`. */
  readonly certificateHeader?: CertificateHeader | undefined
  readonly lifetimeSeconds: number
}

export type AssertionVault = Pick<CertificateVault, 'sign' | 'readCertificate'>

interface AssertionClaims extends AssertionForm {
  readonly clientId: string
  readonly audience: string
  /** Milliseconds since the epoch. */
  readonly now: number
}

/**
 * An assertion begins this long before it is signed: some providers accept no time that is ahead of their own clock,
 * not even by a second (Keycloak, login.gov). Few seconds, since Keycloak refuses a time that is a minute back.
 */
const clockToleranceSeconds = 10

/**
 * Signs one assertion with one version. RFC 7523 §3.
 *
 * @throws {BrokerError} `signature_invalid`, and what the vault throws
 */
export async function signAssertion(
  vault: AssertionVault,
  by: SignerVersion & { readonly expires: number },
  { clientId, audience, now, algorithm, keyId, type, certificateHeader, lifetimeSeconds }: AssertionClaims,
): Promise<ClientAssertion> {
  const { thumbprint } = by
  const issuedAt = Math.floor(now / 1000) - clockToleranceSeconds
  // Not beyond the certificate: the provider would refuse it then, and its error would not name the reason.
  const expires = Math.min(issuedAt + lifetimeSeconds, Math.floor(by.expires / 1000))
  const jwt = await signJwt(vault, by, {
    algorithm,
    header: { ...defined({ typ: type }), ...(await headerOf(vault, by, { keyId, certificateHeader })) },
    claims: {
      iss: clientId,
      sub: clientId,
      aud: audience,
      jti: randomUUID(),
      iat: issuedAt,
      nbf: issuedAt,
      exp: expires,
    },
  })
  return { jwt, thumbprint, issuedAt, expires }
}

async function headerOf(
  vault: AssertionVault,
  by: SignerVersion,
  { keyId, certificateHeader }: Pick<AssertionForm, 'keyId' | 'certificateHeader'>,
): Promise<Readonly<Record<string, string>>> {
  const { thumbprint } = by
  if (certificateHeader !== 'x5t') return { ...(keyId ? { kid: thumbprint } : {}), 'x5t#S256': thumbprint }
  // No row has the SHA-1 thumbprint, so it comes from the certificate.
  const { kid, x5t } = sha1NamesOf(await readOwnCertificate(vault, by))
  return { ...(keyId ? { kid } : {}), x5t }
}

/**
 * Reads the certificate of each version once: it never changes. For an assertion that names its certificate by SHA-1,
 * which would otherwise cost a request to the vault each time.
 */
export function rememberCertificates(vault: CertificateVault): CertificateVault {
  const read = new BoundedMap<string, Uint8Array>(32)
  return {
    ...vault,
    readCertificate: async (version) => {
      const known = read.get(version)
      if (known) return known
      const certificate = await vault.readCertificate(version)
      read.set(version, certificate)
      return certificate
    },
  }
}

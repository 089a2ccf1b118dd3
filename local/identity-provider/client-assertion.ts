/** Checks a client assertion as Entra does, before oidc-provider checks it by the standard. RFC 7523 §3. */
import { X509Certificate } from 'node:crypto'
import { compactVerify, decodeJwt, decodeProtectedHeader } from 'jose'
import type { JWTPayload, ProtectedHeaderParameters } from 'jose'
import { EntraError } from './entra-error.ts'

/** A certificate as it is registered on an application: PEM, or DER as bytes. */
export type RegisteredCertificate = string | Uint8Array

/** A federated identity credential of an application: one issuer, one subject and its audiences. */
interface FederatedIdentity {
  readonly issuer: string
  readonly subject: string
  readonly audiences: readonly string[]
}

export interface Federation {
  readonly credentials: () => readonly FederatedIdentity[]
  /** Checks signature and times by the keys of the issuer. */
  readonly verify: (token: string) => Promise<JWTPayload>
}

/**
 * Checks a token of another issuer that is presented as a client assertion (workload identity federation).
 *
 * @returns false where the assertion is the application's own
 * @throws {EntraError} 700211, 700212, 700213 or 700027
 */
export async function checkFederatedAssertion(
  assertion: string,
  clientId: string,
  { credentials, verify }: Federation,
): Promise<boolean> {
  const { iss, sub, aud } = decode(assertion).payload
  if (iss === undefined || iss === clientId) return false
  const ofIssuer = credentials().filter(({ issuer }) => issuer === iss)
  if (ofIssuer.length === 0) throw new EntraError('federated_issuer', `'${iss}'`)
  const ofSubject = ofIssuer.filter(({ subject }) => subject === sub)
  if (ofSubject.length === 0) throw new EntraError('federated_subject', `'${String(sub)}'`)
  const audiences = [aud].flat()
  if (!ofSubject.some((one) => audiences.length === 1 && one.audiences.includes(audiences[0] ?? ''))) {
    throw new EntraError('federated_audience', `'${audiences.join(' ')}'`)
  }
  await verify(assertion).catch(() => {
    throw new EntraError('assertion_signature')
  })
  return true
}

interface AssertionExpectation {
  readonly clientId: string
  readonly certificates: readonly X509Certificate[]
  readonly audiences: readonly string[]
  readonly now: number
}

/** Entra allows for clocks that are up to five minutes off. */
const skewSeconds = 300

/** @throws {EntraError} 50027, 700021, 700023, 700024 or 700027 */
export async function checkClientAssertion(assertion: string, expected: AssertionExpectation): Promise<void> {
  const { header, payload } = decode(assertion)

  if (payload.iss !== expected.clientId || payload.sub !== expected.clientId) {
    throw new EntraError('assertion_application')
  }
  const certificate = findCertificate(header, expected.certificates)
  checkValidity(certificate, expected.now)

  // RS256 too, since many clients still send it; no symmetric algorithm verifies with a public key.
  await compactVerify(assertion, certificate.publicKey, { algorithms: ['PS256', 'RS256'] }).catch(() => {
    throw new EntraError('assertion_signature')
  })

  const audiences = [payload.aud].flat()
  if (audiences.length !== 1 || !expected.audiences.includes(audiences[0] ?? '')) {
    throw new EntraError('assertion_audience')
  }
  const { exp, nbf } = payload
  if (exp === undefined || exp <= expected.now - skewSeconds || (nbf ?? 0) > expected.now + skewSeconds) {
    throw new EntraError('assertion_time')
  }
  if (typeof payload.jti !== 'string' || payload.jti === '') throw new EntraError('assertion_malformed', "[No 'jti'.]")
}

export function parseCertificate(certificate: RegisteredCertificate): X509Certificate {
  return new X509Certificate(certificate)
}

/** `x5t#S256` of a certificate, in the form of an assertion's header. RFC 7515 §4.1.8. */
function thumbprintSha256(certificate: X509Certificate): string {
  return fingerprint(certificate.fingerprint256)
}

function decode(assertion: string): { header: ProtectedHeaderParameters; payload: JWTPayload } {
  try {
    return { header: decodeProtectedHeader(assertion), payload: decodeJwt(assertion) }
  } catch {
    throw new EntraError('assertion_malformed')
  }
}

function findCertificate(header: ProtectedHeaderParameters, certificates: readonly X509Certificate[]): X509Certificate {
  const sha256 = header['x5t#S256']
  const sha1 = header.x5t
  const found = certificates.find((certificate) =>
    sha256 === undefined
      ? sha1 !== undefined && fingerprint(certificate.fingerprint) === sha1
      : thumbprintSha256(certificate) === sha256,
  )
  if (found) return found
  const used = Buffer.from(typeof sha1 === 'string' ? sha1 : String(sha256), 'base64url')
    .toString('hex')
    .toUpperCase()
  throw new EntraError(
    'certificate_unknown',
    `[Reason - The key was not found. Thumbprint of key used by client: '${used}']`,
  )
}

function checkValidity(certificate: X509Certificate, now: number): void {
  if (certificate.validToDate.getTime() / 1000 <= now || certificate.validFromDate.getTime() / 1000 > now) {
    throw new EntraError('assertion_signature', '[Reason - The key used is expired.]')
  }
}

function fingerprint(hexWithColons: string): string {
  return Buffer.from(hexWithColons.replaceAll(':', ''), 'hex').toString('base64url')
}

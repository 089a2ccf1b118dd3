/** Checks a client assertion as AD FS does: RS256, a certificate that was registered by hand, found by `x5t`. */
import { createHash } from 'node:crypto'
import type { X509Certificate } from 'node:crypto'
import { decodeProtectedHeader, jwtVerify } from 'jose'
import { AdfsError } from './adfs-error.ts'

interface AdfsAssertionExpectation {
  readonly clientId: string
  readonly certificates: readonly X509Certificate[]
  /** The token endpoint, with or without its slash at the end. */
  readonly audiences: readonly string[]
  readonly clockToleranceSeconds: number
}

/** @throws {AdfsError} MSIS9622 for every fault: the cause is only in the event log of the server */
export async function checkAdfsAssertion(assertion: string, expected: AdfsAssertionExpectation): Promise<void> {
  const failed = () => new AdfsError('client_authentication')
  try {
    const { x5t } = decodeProtectedHeader(assertion)
    const certificate = expected.certificates.find(({ raw }) => sha1Of(raw) === x5t)
    if (!certificate) throw failed()
    const { payload } = await jwtVerify(assertion, certificate.publicKey, {
      algorithms: ['RS256'],
      issuer: expected.clientId,
      subject: expected.clientId,
      audience: [...expected.audiences],
      requiredClaims: ['exp', 'jti'],
      clockTolerance: expected.clockToleranceSeconds,
    })
    if (Array.isArray(payload.aud)) throw failed()
  } catch {
    throw failed()
  }
}

function sha1Of(der: Buffer): string {
  return createHash('sha1').update(der).digest('base64url')
}

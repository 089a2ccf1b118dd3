/** Checks the ID token before anyone is signed in. OpenID Connect Core §3.1.3.7, RFC 8725. */
import { createHash } from 'node:crypto'
import { BrokerError } from '../errors/errors.ts'
import type { Clock } from '../async/deadline.ts'
import type { Identity } from './identity.ts'
import type { IdentityProvider } from './provider.ts'
import { parseHeader, verifySignedToken } from './signed-token.ts'

export interface IdTokenExpectations {
  readonly issuer: string
  readonly clientId: string
  readonly nonce: string
  /** The access token of the same response, for `at_hash`. */
  readonly accessToken: string
}

const toleranceSeconds = 300

/**
 * @param idToken from the token endpoint; nothing in it is trusted yet
 * @throws {BrokerError} `id_token_refused` with the check that failed in its detail; `provider_…` where keys can't be had
 */
export async function checkIdToken(
  idToken: string,
  expected: IdTokenExpectations,
  { provider, clock }: { provider: IdentityProvider; clock: Clock },
): Promise<Identity> {
  const { claims } = await verifySignedToken(idToken, provider, refuse)
  const now = clock() / 1000

  if (claims.iss !== expected.issuer) throw refuse('iss')
  // Shared with a stranger, it could have been made for the stranger.
  const audience = Array.isArray(claims.aud) && claims.aud.length === 1 ? (claims.aud[0] as unknown) : claims.aud
  if (audience !== expected.clientId) throw refuse('aud')
  if (claims.azp !== undefined && claims.azp !== expected.clientId) throw refuse('azp')
  if (claims.nonce !== expected.nonce) throw refuse('nonce')

  if (!isTime(claims.exp) || claims.exp <= now - toleranceSeconds) throw refuse('exp')
  if (!isTime(claims.iat) || claims.iat > now + toleranceSeconds || claims.iat < now - 86_400) throw refuse('iat')
  if (claims.nbf !== undefined && (!isTime(claims.nbf) || claims.nbf > now + toleranceSeconds)) throw refuse('nbf')

  if (!isText(claims.sub) || claims.sub.length > 255) throw refuse('sub')
  const { tenantId, objectId } = provider.profile.readIdentity(claims, refuse)
  if (claims.at_hash !== undefined && claims.at_hash !== atHash(idToken, expected.accessToken)) throw refuse('at_hash')

  return {
    issuer: expected.issuer,
    subject: claims.sub,
    tenantId,
    objectId,
    sessionId: textOf(claims.sid),
    name: textOf(claims.name),
    username: textOf(claims.preferred_username) ?? textOf(claims.upn),
    loginHint: textOf(claims.login_hint),
  } as Identity
}

/** OpenID Connect Core §3.1.3.6: the left half of the hash that belongs to the token's algorithm. */
function atHash(idToken: string, accessToken: string): string {
  const bits = String(parseHeader(idToken)?.alg).slice(2)
  const digest = createHash(`sha${bits}`).update(accessToken).digest()
  return digest.subarray(0, digest.length / 2).toString('base64url')
}

function isTime(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value)
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}

function textOf(value: unknown): string | undefined {
  return isText(value) && value.length <= 1024 ? value : undefined
}

function refuse(check: string): BrokerError {
  return new BrokerError('id_token_refused', { detail: check })
}

/** Checks the ID token before anyone is signed in. OpenID Connect Core §3.1.3.7, RFC 8725. */
import { createHash } from 'node:crypto'
import { BrokerError } from '../errors/errors.ts'
import type { Clock } from '../async/deadline.ts'
import type { IdentityProvider } from './identity-provider.ts'
import { parseHeader, verifySignedToken } from './signed-token.ts'

declare const checked: unique symbol

/** Who signed in. Only `checkIdToken` makes one, and only from one can a session be made. */
export interface Identity {
  readonly [checked]: true
  readonly issuer: string
  readonly subject: string
  /** Entra's tenant, and its id of the person in it: together the key for a front end that keeps people. */
  readonly tenantId: string | undefined
  readonly objectId: string | undefined
  /** The provider's session, where it names one: sign-outs from outside speak of it. */
  readonly sessionId: string | undefined
  /** For display only; both may change hands. */
  readonly name: string | undefined
  readonly username: string | undefined
  /** Opaque; lets the provider sign the right person out without asking. */
  readonly loginHint: string | undefined
}

export interface IdTokenExpectations {
  readonly issuer: string
  readonly clientId: string
  /** Of Entra ID; undefined with another provider, where issuer and subject say who it is. */
  readonly tenantId: string | undefined
  readonly nonce: string
  /** The access token that came beside it, for `at_hash`. */
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

  const isEntra = expected.tenantId !== undefined
  if (isEntra && claims.tid !== expected.tenantId) throw refuse('tid')
  if (!isText(claims.sub) || claims.sub.length > 255) throw refuse('sub')
  if (isEntra && (!isText(claims.oid) || claims.oid.length > 255)) throw refuse('oid')
  if (claims.at_hash !== undefined && claims.at_hash !== atHash(idToken, expected.accessToken)) throw refuse('at_hash')

  return {
    issuer: expected.issuer,
    subject: claims.sub,
    // Another provider's claims of these names mean whatever it likes.
    tenantId: expected.tenantId,
    objectId: isEntra ? claims.oid : undefined,
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

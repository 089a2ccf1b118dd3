/** Checks the ID token before a session is made. OpenID Connect Core §3.1.3.7, RFC 8725. */
import { isAbsent, isNumber, isText, secondsOf } from '../json/json.ts'
import { BrokerError } from '../errors/errors.ts'
import type { Clock } from '../async/deadline.ts'
import { tokenHash } from './algorithms.ts'
import { tokenIssuerOf } from './identity.ts'
import type { Identity } from './identity.ts'
import { readRegisteredClaims } from './registered-claims.ts'
import type { RegisteredClaims } from './registered-claims.ts'
import type { ExtraIdentity, IdentityProvider, Json, TokenOrigin } from './provider.ts'
import { verifySignedToken } from './signed-token.ts'

export interface IdTokenExpectations {
  /** The provider's key in the registry. */
  readonly issuer: string
  readonly clientId: string
  readonly nonce: string
  /** The access token of the same response, for `at_hash`. */
  readonly accessToken: string
  /** Names of the claims that the front end has registered. */
  readonly claimNames?: readonly string[] | undefined
}

const toleranceSeconds = 300

/**
 * @param idToken from the token endpoint; untrusted
 * @throws {BrokerError} `id_token_refused` with the check that failed in its detail; `provider_…` where no keys can be
 *   fetched
 */
export async function checkIdToken(
  idToken: string,
  expected: IdTokenExpectations,
  { provider, clock }: { provider: IdentityProvider; clock: Clock },
): Promise<Identity> {
  const { claims, hashOf, extra } = await verifyIdToken(idToken, expected, {
    provider,
    clock,
    origin: 'token endpoint',
    refuse,
  })
  if (!isAbsent(claims.at_hash) && claims.at_hash !== hashOf(expected.accessToken)) throw refuse('at_hash')
  const { tenantId, objectId, username } = extra
  const unproven = provider.profile.unprovenClaims(claims)

  return {
    issuer: expected.issuer,
    ...(claims.iss === expected.issuer ? {} : { tokenIssuer: claims.iss }),
    subject: claims.sub,
    tenantId,
    objectId,
    sessionId: textOf(claims.sid),
    name: textOf(claims.name),
    username: textOf(claims.preferred_username) ?? textOf(claims.upn) ?? username,
    loginHint: textOf(claims.login_hint),
    email: unproven.includes('email') ? undefined : textOf(claims.email),
    acr: shortTextOf(claims.acr),
    authenticatedAt: authenticationTimeOf(claims, clock),
    claims: expected.claimNames?.length ? readRegisteredClaims(claims, expected.claimNames, unproven) : undefined,
  } as Identity
}

interface VerifiedIdToken {
  readonly claims: Json & { readonly iss: string; readonly sub: string }
  readonly extra: ExtraIdentity
  /** The value of `at_hash` or `c_hash` for a token or code that came with this ID token. */
  readonly hashOf: (text: string) => string
}

/**
 * The checks that an ID token of either endpoint has to pass. OpenID Connect Core §3.1.3.7, §3.3.2.12.
 *
 * @param idToken untrusted
 * @param refuse makes the error for the check that failed
 * @throws the error of `refuse`, and BrokerError `provider_…` where no keys can be fetched
 */
export async function verifyIdToken(
  idToken: string,
  expected: Pick<IdTokenExpectations, 'clientId' | 'nonce'>,
  by: { provider: IdentityProvider; clock: Clock; origin: TokenOrigin; refuse: (check: string) => Error },
): Promise<VerifiedIdToken> {
  const { provider, clock, origin, refuse } = by
  const { header, claims, algorithm, signatureBytes } = await verifySignedToken(idToken, origin, provider, refuse)
  const { iss, sub } = claims
  const now = clock() / 1000

  if (isOfAnotherType(header.typ)) throw refuse('typ')
  if (typeof iss !== 'string' || !provider.profile.isTokenIssuer(iss)) throw refuse('iss')
  checkAudience(claims, expected.clientId, refuse)
  if (claims.nonce !== expected.nonce) throw refuse('nonce')

  if (!isNumber(claims.exp) || claims.exp <= now - toleranceSeconds) throw refuse('exp')
  if (!isNumber(claims.iat) || claims.iat > now + toleranceSeconds || claims.iat < now - 86_400) throw refuse('iat')
  if (!isAbsent(claims.nbf) && (!isNumber(claims.nbf) || claims.nbf > now + toleranceSeconds)) throw refuse('nbf')

  if (!isText(sub) || sub.length > 255) throw refuse('sub')
  return {
    claims: { ...claims, iss, sub },
    extra: provider.profile.readIdentity(claims, refuse),
    hashOf: (text) => tokenHash(text, algorithm, signatureBytes),
  }
}

/**
 * Reads the registered claims of an ID token that came with a renewal (OpenID Connect Core §12.2). The signature is
 * verified here: applications decide about access by roles and groups.
 *
 * @param idToken from the token endpoint; untrusted
 * @param of the person of the session
 * @throws {BrokerError} as `checkIdToken`; the claims of the session then stay as they are
 */
export async function readRenewedClaims(
  idToken: string,
  of: Pick<Identity, 'issuer' | 'tokenIssuer' | 'subject'>,
  claimNames: readonly string[],
  { provider, clock }: { provider: IdentityProvider; clock: Clock },
): Promise<RegisteredClaims> {
  const { header, claims } = await verifySignedToken(idToken, 'token endpoint', provider, refuse)
  if (isOfAnotherType(header.typ)) throw refuse('typ')
  if (claims.iss !== tokenIssuerOf(of)) throw refuse('iss')
  if (claims.sub !== of.subject) throw refuse('sub')
  checkAudience(claims, provider.clientId, refuse)
  if (!isNumber(claims.exp) || claims.exp <= clock() / 1000 - toleranceSeconds) throw refuse('exp')
  return readRegisteredClaims(claims, claimNames, provider.profile.unprovenClaims(claims))
}

/**
 * RFC 8725 §3.11: a type that names another kind of token. `JWT`, a missing type and an unknown text are accepted,
 * since OpenID Connect Core requires none.
 */
function isOfAnotherType(typ: unknown): boolean {
  return typeof typ === 'string' && /\+jwt$/i.test(typ) && !/^(application\/)?id(_token)?\+jwt$/i.test(typ)
}

/**
 * OpenID Connect Core §2 and §3.1.3.7, 3 to 5: `aud` is this client, or a list that contains it. A list with other
 * audiences needs `azp`, which names the client that the token was issued to; another client's token is refused. The
 * issuer itself is no other audience: Oracle's identity domains name it in each ID token, without `azp`.
 *
 * @param claims whose `iss` was checked
 */
export function checkAudience(claims: Json, clientId: string, refuse: (check: string) => Error): void {
  const { iss, aud, azp } = claims
  const audiences: readonly unknown[] = Array.isArray(aud) ? aud : [aud]
  if (!audiences.includes(clientId)) throw refuse('aud')
  const isShared = audiences.some((audience) => audience !== clientId && audience !== iss)
  if (isShared && isAbsent(azp)) throw refuse('aud')
  if (!isAbsent(azp) && azp !== clientId) throw refuse('azp')
}

/**
 * @returns undefined for a time that is ahead of the clock: it would pass for a fresh authentication. Some releases of
 *   FusionAuth write milliseconds. Glewlwyd writes 0 where it does not know the time
 */
function authenticationTimeOf(claims: Json, clock: Clock): number | undefined {
  const time = secondsOf(claims.auth_time)
  return time !== undefined && time > 0 && time <= clock() / 1000 + toleranceSeconds ? time : undefined
}

/** @returns undefined for an `acr` that no request could name */
function shortTextOf(value: unknown): string | undefined {
  return isText(value) && value.length <= 128 ? value : undefined
}

/** @returns a text that is short enough to be kept */
export function textOf(value: unknown): string | undefined {
  return isText(value) && value.length <= 1024 ? value : undefined
}

function refuse(check: string): BrokerError {
  return new BrokerError('id_token_refused', { detail: check })
}

/** Checks the ID token before anyone is signed in. OpenID Connect Core §3.1.3.7, RFC 8725. */
import { constants, createHash, verify } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { BrokerError } from '../errors.ts'
import type { Clock } from '../timing/deadline.ts'
import type { IdentityProvider } from './identity-provider.ts'

declare const checked: unique symbol

/** Who signed in. Only `checkIdToken` makes one, and only from one can a session be made. */
export interface Identity {
  readonly [checked]: true
  readonly issuer: string
  readonly subject: string
  readonly tenantId: string
  /** Entra's id of the person in the tenant; with the tenant the key for a front end that keeps people. */
  readonly objectId: string
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
  readonly tenantId: string
  readonly nonce: string
  /** The access token that came beside it, for `at_hash`. */
  readonly accessToken: string
}

const algorithms = ['RS256', 'PS256', 'ES256', 'RS384', 'PS384', 'ES384', 'RS512', 'PS512']
const toleranceSeconds = 300
const maxLength = 64 * 1024

/**
 * @param idToken from the token endpoint; nothing in it is trusted yet
 * @throws {BrokerError} `id_token_refused` with the check that failed in its detail; `provider_…` where keys can't be had
 */
export async function checkIdToken(
  idToken: string,
  expected: IdTokenExpectations,
  { provider, clock }: { provider: IdentityProvider; clock: Clock },
): Promise<Identity> {
  if (idToken.length > maxLength) throw refuse('larger than 64 KB')
  const claims = await verifySignature(idToken, provider)
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

  if (claims.tid !== expected.tenantId) throw refuse('tid')
  if (!isText(claims.sub) || claims.sub.length > 255) throw refuse('sub')
  if (!isText(claims.oid) || claims.oid.length > 255) throw refuse('oid')
  if (claims.at_hash !== undefined && claims.at_hash !== atHash(idToken, expected.accessToken)) throw refuse('at_hash')

  return {
    issuer: expected.issuer,
    subject: claims.sub,
    tenantId: claims.tid,
    objectId: claims.oid,
    sessionId: textOf(claims.sid),
    name: textOf(claims.name),
    username: textOf(claims.preferred_username),
    loginHint: textOf(claims.login_hint),
  } as Identity
}

async function verifySignature(
  idToken: string,
  provider: IdentityProvider,
): Promise<Readonly<Record<string, unknown>>> {
  const { kid, alg, crit } = parseHeader(idToken)
  if (typeof alg !== 'string' || !algorithms.includes(alg)) throw refuse('alg')
  if (kid !== undefined && typeof kid !== 'string') throw refuse('kid')
  const token = parseCompact(idToken)
  // RFC 7515 §4.1.11: nothing that has to be understood is understood here.
  if (!token || crit !== undefined) throw refuse('not a signed token')

  const keys = await provider.keysFor(kid, alg)
  if (isSignedByAny(token, alg, keys)) return parseJson(token.payload)
  // A key that is known by its id has spoken. Otherwise the provider may have changed its keys since they were read.
  if (kid !== undefined && keys.length > 0) throw refuse('signature')
  if (isSignedByAny(token, alg, await provider.keysAnew(kid, alg))) return parseJson(token.payload)
  throw refuse(kid === undefined ? 'signature' : 'no key of the provider fits')
}

interface CompactToken {
  /** What was signed: header and payload as they stand in the token. RFC 7515 §5.1. */
  readonly signingInput: Buffer
  readonly payload: string
  readonly signature: Buffer
}

/** @returns undefined unless it has three parts of base64url */
function parseCompact(token: string): CompactToken | undefined {
  const [, signingInput, payload, signature] = /^([\w-]+\.([\w-]+))\.([\w-]+)$/.exec(token) ?? []
  if (signingInput === undefined || payload === undefined || signature === undefined) return undefined
  return {
    signingInput: Buffer.from(signingInput),
    payload: Buffer.from(payload, 'base64url').toString('utf8'),
    signature: Buffer.from(signature, 'base64url'),
  }
}

/**
 * RFC 7515 §5.2, with node:crypto: a third of the CPU time of WebCrypto, which a library for tokens would use.
 *
 * @param keys that fit the algorithm, as `keysFor` chose them
 */
function isSignedByAny({ signingInput, signature }: CompactToken, alg: string, keys: readonly KeyObject[]): boolean {
  return keys.some((key) => verify(`sha${alg.slice(2)}`, signingInput, { key, ...schemeOf(alg) }, signature))
}

/** RFC 7518 §3.3 to §3.5. */
function schemeOf(alg: string) {
  if (alg.startsWith('ES')) return { dsaEncoding: 'ieee-p1363' } as const
  if (alg.startsWith('PS')) {
    return { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
  }
  return { padding: constants.RSA_PKCS1_PADDING }
}

function parseHeader(idToken: string): Readonly<Record<string, unknown>> {
  const [header] = idToken.split('.')
  return parseJson(Buffer.from(header ?? '', 'base64url').toString('utf8'))
}

function parseJson(text: string): Readonly<Record<string, unknown>> {
  try {
    const parsed: unknown = JSON.parse(text)
    if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed))
      return parsed as Record<string, unknown>
  } catch {
    // falls through to the refusal
  }
  throw refuse('not JSON')
}

/** OpenID Connect Core §3.1.3.6: the left half of the hash that belongs to the token's algorithm. */
function atHash(idToken: string, accessToken: string): string {
  const bits = String(parseHeader(idToken).alg).slice(2)
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

/**
 * Checks the identity provider's response before the code is redeemed. RFC 6749 §4.1.2, RFC 9207 §2.4; front-channel.ts
 * has the check of the hybrid flow.
 * The order of the checks is the security, so the types enforce it: a code that was not checked cannot be used up, and
 * a code that was not used up cannot be redeemed.
 */
import { BrokerError } from '../errors/errors.ts'
import type { Clock } from '../async/deadline.ts'
import type { IdentityProvider, ProviderProfile, ResponseMode } from '../provider/provider.ts'
import type { CheckedCode, TakenCode } from '../provider/token-endpoint.ts'
import { hashedRowKey } from '../store/hashed-row-key.ts'
import type { Store } from '../store/store.ts'
import type { FrontChannelToken } from './front-channel.ts'
import { frontEndIdOf } from './transaction.ts'
import type { CurrentTransaction } from './transaction.ts'

/** The fields of the response; untrusted. */
export interface CallbackAnswer {
  readonly state: string
  readonly code: string | undefined
  /** Read only where the transaction requested one: the hybrid flow. */
  readonly idToken: string | undefined
  /** True where the response has an access token, which no flow of the broker requests. */
  readonly hasAccessToken: boolean
  readonly issuer: string | undefined
  readonly error: string | undefined
  readonly subError: string | undefined
  readonly errorDescription: string | undefined
  readonly errorUri: string | undefined
  readonly responseMode: ResponseMode
  /** Of the redirect URI's path: the id of a provider beside the primary one. */
  readonly provider?: string | undefined
}

const limits = { state: 128, code: 16 * 1024, iss: 512, error: 128, error_subcode: 128 } as const

/**
 * @param fields the body's, or the query's, never both
 * @param provider of the path to which the response came; untrusted
 * @throws {BrokerError} `answer_invalid`, `sign_in_unknown` without a state
 */
export function parseCallback(fields: URLSearchParams, responseMode: ResponseMode, provider?: string): CallbackAnswer {
  const invalid = (detail: string) =>
    new BrokerError('answer_invalid', { detail, frontEndId: frontEndIdOf(fields.get('state') ?? '') })

  // RFC 6749 §3.1. Unknown fields count too: the provider sends none of them twice.
  if (new Set(fields.keys()).size < fields.size) throw invalid('a field twice')

  const read = (name: keyof typeof limits): string | undefined => {
    const value = fields.get(name)
    // RFC 6749 §3.1: a parameter without a value counts as absent. Not `iss`, which is compared wherever it is present.
    if (value === null || (value === '' && name !== 'iss')) return undefined
    if (value.length > limits[name] || !isVisibleAscii(value)) throw invalid(name)
    return value
  }

  /** For people: any characters and any length are allowed, and a long one is left out. */
  const shortText = (name: string): string | undefined => {
    const value = fields.get(name)
    return value !== null && value.length <= 2048 ? value : undefined
  }

  const state = read('state')
  if (state === undefined) throw new BrokerError('sign_in_unknown')
  return {
    state,
    code: read('code'),
    idToken: fields.get('id_token') || undefined,
    hasAccessToken: Boolean(fields.get('access_token')),
    issuer: read('iss'),
    error: read('error'),
    subError: read('error_subcode'),
    errorDescription: shortText('error_description'),
    errorUri: shortText('error_uri'),
    responseMode,
    ...(provider === undefined ? {} : { provider }),
  }
}

declare const answered: unique symbol

/**
 * A code whose response agrees with the transaction. The hybrid flow has a further check before it counts as checked.
 */
type AnsweredCode = string & { readonly [answered]: true }

/** The response, checked. */
export interface CheckedAnswer {
  readonly code: CheckedCode
  /** undefined where the transaction requested a code alone. */
  readonly frontChannel: FrontChannelToken | undefined
}

/**
 * All checks before the code is redeemed.
 *
 * @param transaction the one that the answer's state opened
 * @throws {BrokerError} as `checkAnswer`; with the hybrid flow also `id_token_refused`, and `provider_…` where no keys
 *   can be fetched
 */
export async function checkResponse(
  answer: CallbackAnswer,
  transaction: CurrentTransaction,
  parts: { readonly provider: IdentityProvider; readonly clock: Clock },
): Promise<CheckedAnswer> {
  const code = checkAnswer(answer, transaction, parts.provider.profile)
  if (transaction.responseType === undefined) return { code: code as string as CheckedCode, frontChannel: undefined }
  const { checkFrontChannel } = await import('./front-channel.ts')
  const { idToken, hasAccessToken, issuer } = answer
  const frontChannel = await checkFrontChannel({ code, idToken, hasAccessToken, issuer }, transaction, parts)
  return { code: code as string as CheckedCode, frontChannel }
}

/**
 * @throws {BrokerError} `answer_invalid`, `issuer_mismatch`, `sign_in_cancelled`, `provider_refused`
 */
export function checkAnswer(
  answer: CallbackAnswer,
  transaction: CurrentTransaction,
  profile: Pick<ProviderProfile, 'readAuthorizationRefusal' | 'isTokenIssuer'>,
): AnsweredCode {
  // RFC 9700 §4.4.2: each provider has a redirect URI of its own, so a response at another one is a mix-up attack.
  if (answer.provider !== transaction.provider) throw new BrokerError('issuer_mismatch', { detail: 'redirect URI' })

  // RFC 9207 §2.4: a provider that announced `iss` and then omits it must be treated as a mix-up attack.
  // RFC 9700 §4.4.2.1: an ID token of the response names the issuer in its place, and front-channel.ts verifies it.
  const isInIdToken = transaction.responseType !== undefined && answer.error === undefined
  const issuerExpected = (transaction.issuerInAnswers && !isInIdToken) || answer.issuer !== undefined
  if (issuerExpected && !isIssuer(answer.issuer, transaction, profile)) throw new BrokerError('issuer_mismatch')

  // Checked after state and issuer: before that, the response may not come from our provider.
  // An error wins over a code.
  const { error, subError, errorDescription: description, errorUri: uri } = answer
  if (error !== undefined) throw profile.readAuthorizationRefusal({ error, subError, description, uri })

  // A provider responds by the requested mode: a code that comes by another mode was forwarded by an attacker, or the
  // provider has only its default. An error counts by either, since a provider that refuses the mode cannot use it.
  if (answer.responseMode !== transaction.responseMode) {
    throw new BrokerError('answer_invalid', { detail: `came by ${answer.responseMode} (Broker__ResponseMode)` })
  }
  if (answer.code === undefined) throw new BrokerError('answer_invalid', { detail: 'no code' })
  return answer.code as AnsweredCode
}

/** @param profile of the transaction's provider: one for many tenants responds in the name of the person's tenant */
function isIssuer(
  named: string | undefined,
  { issuer }: CurrentTransaction,
  { isTokenIssuer }: Pick<ProviderProfile, 'isTokenIssuer'>,
): boolean {
  return named === issuer || (named !== undefined && isTokenIssuer(named))
}

/**
 * Uses up the state, once among all instances: a code that is sent twice
 * makes a strict provider revoke the first sign-in.
 *
 * @returns undefined when it was used up before
 * @throws {BrokerError} `store_unavailable`
 */
export async function takeCode(
  code: CheckedCode,
  transaction: CurrentTransaction,
  { store, lifetimeSeconds }: { store: Store; lifetimeSeconds: number },
): Promise<TakenCode | undefined> {
  const made = await store.insert('states', {
    ...hashedRowKey(transaction.state),
    // Twice the lifetime, so that clocks that differ never let a state be used again while its cookie still opens.
    sweepAfter: new Date(transaction.begunAt + 2 * lifetimeSeconds * 1000),
    values: {},
  })
  return made === undefined ? undefined : (code as string as TakenCode)
}

/** RFC 6749, appendix A: all of them are made of these characters. */
function isVisibleAscii(value: string): boolean {
  return /^[\x20-\x7e]+$/.test(value)
}

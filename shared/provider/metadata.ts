/**
 * Checks of provider metadata that every profile shares. OpenID Connect Discovery 1.0, RFC 8414 §3.3, RFC 9700 §4.4.
 */
import { BrokerError } from '../errors/errors.ts'
import { isLoopbackHost, urlProblem } from '../settings/addresses.ts'
import { isSupportedAlgorithm } from './algorithms.ts'
import type { Json, ResponseType } from './provider.ts'

/** OpenID Connect Discovery 1.0 §4: a slash at the end of the issuer is not doubled. */
export function metadataUrlOf(issuer: string): string {
  return `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
}

/** @throws {BrokerError} `provider_metadata_untrusted` unless the document names exactly this issuer */
export function checkIssuer(json: Json, issuer: string): void {
  if (json.issuer !== issuer) throw untrusted(`issuer is not ${issuer}${describeDifference(json.issuer, issuer)}`)
}

/**
 * @param isFit decides which addresses this provider may name
 * @param expected the rule of `isFit` in words, for the log
 * @returns a function that reads one endpoint by the name of its member
 */
export function readEndpoint(json: Json, isFit: (url: URL) => boolean, expected: string): (name: string) => string {
  return (name) => {
    const value = json[name]
    // A spelling that one URL parser repairs silently may mean another host to the next one: the browser's, or MSAL's.
    if (typeof value !== 'string' || urlProblem(value) || value.includes('#') || !isFit(new URL(value))) {
      throw untrusted(`${name} is not ${expected}`)
    }
    return value
  }
}

/**
 * @param home an address of the provider, from the settings
 * @returns as `readEndpoint`, for a provider whose endpoints are all on that host; on loopback, with any port
 */
export function readOwnEndpoint(json: Json, home: string): (name: string) => string {
  const { origin, hostname } = new URL(home)
  const isOwn = (url: URL) => (isLoopbackHost(hostname) ? isLoopbackHost(url.hostname) : url.origin === origin)
  return readEndpoint(json, isOwn, `an address of ${origin}`)
}

/** RFC 8414 §3.2: a list without elements must be left out, so an empty one counts as absent. */
export function listOf(json: Json, name: string): readonly unknown[] | undefined {
  const value = json[name]
  return Array.isArray(value) && value.length > 0 ? value : undefined
}

/**
 * Refuses a provider whose ID tokens the broker cannot verify, before any person is sent there. Discovery §3 requires
 * the list; where it is left out, the provider has the default RS256 (Dynamic Client Registration §2).
 */
export function checkIdTokenAlgorithms(json: Json): void {
  const offered = listOf(json, 'id_token_signing_alg_values_supported')
  if (offered && !offered.some(isSupportedAlgorithm)) throw unsuitable('ID tokens signed by an algorithm of the broker')
}

/**
 * Refuses a provider that lists its response types and lacks the one of the setting, before any person is sent there.
 * The order of the words in a type has no meaning (RFC 6749 §3.1.1).
 */
export function checkResponseType(json: Json, responseType: ResponseType): void {
  const offered = listOf(json, 'response_types_supported')
  const sorted = (type: string) => type.split(' ').sort().join(' ')
  if (!offered || offered.some((type) => typeof type === 'string' && sorted(type) === responseType)) return
  throw unsuitable(`response_type ${responseType}${responseType === 'code' ? '' : ' (Broker__ResponseType)'}`)
}

/**
 * For the operator, who compares the two: an issuer is no secret. AD FS spells its host, and B2C its policy, otherwise
 * than their pages do; a provider behind a proxy that does not know its public address names http, or another host.
 */
function describeDifference(named: unknown, issuer: string): string {
  if (typeof named !== 'string' || !/^https?:\/\/[\w.:/~%{}-]{1,200}$/i.test(named)) return ''
  const but = ` but ${named}`
  if (named === `${issuer}/` || `${named}/` === issuer) return `${but}: they differ by the slash at the end`
  return named.toLowerCase() === issuer.toLowerCase() ? `${but}: they differ by capital letters` : but
}

export function untrusted(detail: string): BrokerError {
  return new BrokerError('provider_metadata_untrusted', { detail })
}

export function unsuitable(missing: string): BrokerError {
  return new BrokerError('provider_unsuitable', { detail: `the metadata does not offer ${missing}` })
}

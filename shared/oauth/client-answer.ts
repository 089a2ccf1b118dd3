/**
 * The answer to an authorization request, at the redirect URI of the client. RFC 6749 §4.1.2, RFC 9207. It is apart
 * from the request's parser, which is loaded on first use.
 */
import { errorCatalogue, oauthErrorOf } from '../errors/catalogue.ts'
import { asciiRemedy, faultyParameter } from '../errors/errors.ts'
import type { BrokerError, Destination } from '../errors/errors.ts'
import { withParameters } from '../http/url-parameters.ts'
import { defined } from '../json/json.ts'

/** Response modes other than `query`, which is the default of `response_type=code`. */
export type ClientResponseMode = 'fragment' | 'form_post'

/** The parts of a client's request that decide where its answer goes, and how. */
export interface AnswerTarget {
  readonly redirectUri: string
  readonly state: string | undefined
  /** The query where left out. */
  readonly responseMode?: ClientResponseMode | undefined
}

/**
 * Adds to an error the destination that reports it to the client (RFC 6749 §4.1.2.1).
 *
 * @param client whose redirect URI is registered
 * @param issuer the broker's own
 */
export function withClientRedirect(error: BrokerError, client: AnswerTarget, issuer: string): BrokerError {
  return error.with({
    redirectTo: answerTo(client, issuer, { error: oauthErrorOf(error.code), error_description: describe(error) }),
  })
}

/** The code; for a mistake in the client also the fix: many libraries show a developer nothing else. */
function describe(error: BrokerError): string {
  const parameter = faultyParameter(error)
  const named = parameter === undefined ? error.code : `${error.code} (${parameter})`
  return errorCatalogue[error.code].responsible === 'front end' ? `${named}: ${asciiRemedy(error)}` : named
}

/**
 * The answer to a client, in the response mode of its request. RFC 6749 §4.1.2 with RFC 9207: `state` and `iss` are in
 * every answer.
 *
 * @param target its redirect URI is registered
 * @param issuer the broker's own
 */
export function answerTo(
  { redirectUri, state, responseMode }: AnswerTarget,
  issuer: string,
  parameters: Readonly<Record<string, string>>,
): Destination {
  const answer = { ...parameters, ...defined({ state }), iss: issuer }
  if (responseMode === 'form_post') return { action: redirectUri, fields: answer }
  if (responseMode !== 'fragment') return withParameters(redirectUri, answer)
  // OAuth 2.0 Multiple Response Type Encoding Practices §2.1.
  const url = new URL(redirectUri)
  url.hash = new URLSearchParams(answer).toString()
  return url.href
}

/**
 * A form that an OAuth client posts to `/token` or `/revoke`: its parameters and the client that it names. RFC 6749
 * §3.2. A confidential client then proves itself (client-authentication.ts); a public one has no proof (§2.1).
 */
import { BrokerError, parameterInvalid, parameterRepeated } from '../errors/errors.ts'
import { readClaims } from '../provider/signed-token.ts'
import type { FrontEnd, FrontEnds } from '../front-ends/front-ends.ts'
import { optional } from './parameter.ts'

/** A request of a client, parsed as a form; untrusted. */
export interface ClientForm {
  readonly fields: URLSearchParams
  /** The header Origin, where a browser's script sends the request. */
  readonly origin: string | undefined
  /** The header Authorization: some libraries identify the client there. */
  readonly authorization: string | undefined
}

/**
 * Finds the client of a request, and refuses a request that another site's script sends.
 *
 * @throws {BrokerError} `body_missing`, `parameter_repeated`, `parameter_invalid`, `client_unknown`,
 *   `client_secret_refused`, `request_not_from_front_end`
 */
export function clientOf(form: ClientForm, frontEnds: FrontEnds): FrontEnd {
  const { fields, origin } = form
  if (fields.size === 0) throw new BrokerError('body_missing')
  // RFC 6749 §3.2: a repeated parameter is refused, also one that is not used here. RFC 8707 §2 permits several
  // resources.
  const names = [...fields.keys()].filter((name) => name !== 'resource')
  const repeated = names.find((name, at) => names.indexOf(name) < at)
  if (repeated !== undefined) throw parameterRepeated(repeated)
  const basic = basicCredentials(form.authorization)
  const clientId = optional(fields, 'client_id') ?? basic?.id ?? subjectOf(optional(fields, 'client_assertion'))
  if (clientId === undefined) throw parameterInvalid('client_id', 'missing')
  const client = frontEnds.find(clientId)
  if (client?.kind !== 'oauth' || (basic && basic.id !== clientId)) throw new BrokerError('client_unknown')
  // No client has a shared secret. One that is sent must not look like a proof that was checked.
  if (basic?.secret || optional(fields, 'client_secret')) throw new BrokerError('client_secret_refused')
  if (origin !== undefined && !client.origins.includes(origin)) throw new BrokerError('request_not_from_front_end')
  return client
}

/**
 * RFC 6749 §2.3.1. Another scheme authenticates no client and is ignored: page libraries add `Bearer` to every request.
 */
function basicCredentials(authorization: string | undefined): { id: string; secret: string } | undefined {
  const [, encoded] = /^basic +([A-Za-z0-9+/=]+)$/i.exec(authorization ?? '') ?? []
  if (encoded === undefined) return undefined
  const [id = '', ...secret] = Buffer.from(encoded, 'base64').toString('utf8').split(':')
  return { id: formDecoded(id), secret: secret.join(':') }
}

/** RFC 7521 §4.2: with an assertion, `client_id` is optional. The assertion is verified later, for this client. */
function subjectOf(assertion: string | undefined): string | undefined {
  const subject = assertion === undefined ? undefined : readClaims(assertion)?.sub
  return typeof subject === 'string' ? subject : undefined
}

function formDecoded(text: string): string {
  return new URLSearchParams(`v=${text.replaceAll('&', '%26')}`).get('v') ?? ''
}

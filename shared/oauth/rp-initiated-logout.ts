/**
 * Sign-out that an OAuth client starts by redirect. OpenID Connect RP-Initiated Logout 1.0 §2. Only an ID token that
 * the broker signed names a session to end: a request without one ends no session here, and the identity provider
 * decides whether the person must confirm, so that a link of another site cannot sign a person out silently.
 */
import { createPublicKey, verify } from 'node:crypto'
import { promisify } from 'node:util'
import { asBrokerError, BrokerError, parameterInvalid } from '../errors/errors.ts'
import type { FrontEnds } from '../front-ends/front-ends.ts'
import { readClaims, readHeader } from '../provider/signed-token.ts'
import type { SignOut } from '../sign-out/sign-out.ts'
import type { RowKey } from '../store/store.ts'
import { fromSessionId } from './issued-id-token.ts'
import type { SigningKeys } from './signing-keys.ts'
import { optional } from './parameter.ts'

interface EndSessionOptions {
  readonly issuer: string
  readonly frontEnds: FrontEnds
  readonly keys: SigningKeys
  readonly signOut: Pick<SignOut, 'beginByRow' | 'beginAtProvider'>
}

/** An ID token with registered claims of full size has more than 4 KB. */
const limits = { id_token_hint: 16 * 1024, client_id: 64, post_logout_redirect_uri: 1024, state: 1024 } as const
/** Of a state as JSON. */
const mostStateBytes = 1536

export interface EndedSession {
  /** The provider's sign-out, or the client's page. */
  readonly redirectTo: string
  /** Undefined where the request names no client. */
  readonly clientId: string | undefined
  /** True where an ID token proves that the client knows the person. */
  readonly isProven: boolean
}

/**
 * @param fields of the query or of the form; untrusted
 * @param signedInAt ids of the clients at which this browser has signed in; untrusted
 * @returns where to send the browser
 * @throws {BrokerError} `parameter_repeated`, `parameter_invalid`, `client_unknown`, `id_token_hint_invalid`,
 *   `return_url_not_registered`; then no session has ended
 */
export async function endSession(
  fields: URLSearchParams,
  signedInAt: readonly string[],
  options: EndSessionOptions,
): Promise<EndedSession> {
  try {
    const hintText = read(fields, 'id_token_hint')
    const hint = hintText === undefined ? undefined : await verifyHint(hintText, options)
    const to = read(fields, 'post_logout_redirect_uri')
    const clientId = read(fields, 'client_id') ?? hint?.audience ?? clientOfPage(to, signedInAt, options.frontEnds)
    if (clientId === undefined) {
      // Each parameter is optional (§2). A page to return to needs its client.
      const redirectTo = to === undefined ? await options.signOut.beginAtProvider() : undefined
      if (redirectTo === undefined) throw parameterInvalid('client_id', 'missing')
      return { redirectTo, clientId, isProven: false }
    }
    const client = options.frontEnds.find(clientId)
    if (client?.kind !== 'oauth') throw new BrokerError('client_unknown')
    if (hint && hint.audience !== client.id) throw new BrokerError('id_token_hint_invalid', { detail: 'aud' })
    const redirectTo = await options.signOut.beginByRow(client, hint?.rowKey, to, readState(fields), hint?.idp)
    return { redirectTo, clientId: client.id, isProven: hint?.isVerified === true }
  } catch (error) {
    throw asBrokerError(error).with({ frontEndId: clientIdForLinks(fields) })
  }
}

/**
 * Products that keep no ID token send only the page to return to. Where several clients have it, the client is one at
 * which this browser has signed in, or the first: the choice decides which provider is visited, and ends no session.
 */
function clientOfPage(url: string | undefined, signedInAt: readonly string[], { all }: FrontEnds): string | undefined {
  const clients = all.filter(({ kind, signedOutUrls }) => kind === 'oauth' && signedOutUrls.some((one) => one === url))
  return (clients.find(({ id }) => signedInAt.includes(id)) ?? clients[0])?.id
}

/** The client of a refused request; a hint that was not verified names it too, since it only chooses a link. */
function clientIdForLinks(fields: URLSearchParams): string | undefined {
  const clientId = fields.get('client_id')
  if (clientId !== null && clientId !== '') return clientId
  const { aud } = readClaims(fields.get('id_token_hint') ?? '') ?? {}
  return typeof aud === 'string' ? aud : undefined
}

interface Hint {
  readonly audience: string
  /**
   * False where its key is over, and with it the session:
   * then it names the client, as `client_id` does, and ends nothing.
   */
  readonly isVerified: boolean
  readonly rowKey: RowKey | undefined
  /** The issuer of the provider, where it is not the primary one. */
  readonly idp?: string | undefined
}

/**
 * An expired ID token is accepted (§2): a person may sign out long after it was issued, also after its key is gone.
 * Libraries send the first ID token of their own session, which may last for months.
 */
async function verifyHint(text: string, { issuer, keys }: EndSessionOptions): Promise<Hint> {
  const [header = '', payload = '', signature = '', ...rest] = text.split('.')
  const { kid, alg } = readHeader(text) ?? {}
  const key = typeof kid === 'string' ? await keys.find(kid) : undefined
  const { iss, aud, sid, idp } = readClaims(text) ?? {}
  if (rest.length > 0 || iss !== issuer || typeof aud !== 'string') throw invalid('iss')
  // A thumbprint, as every key of the broker has had.
  if (!key && typeof kid === 'string' && /^[\w-]{43}$/.test(kid) && (alg === 'RS256' || alg === 'ES256')) {
    return { audience: aud, isVerified: false, rowKey: undefined }
  }
  // The algorithm of the key, and never of the token (RFC 8725 §3.1).
  if (!key || alg !== key.algorithm) throw invalid('key')
  const publicKey = createPublicKey(key.privateKey)
  const dsaEncoding = 'ieee-p1363'
  const isSigned = await promisify(verify)(
    'sha256',
    Buffer.from(`${header}.${payload}`),
    key.algorithm === 'ES256' ? { key: publicKey, dsaEncoding } : { key: publicKey },
    Buffer.from(signature, 'base64url'),
  )
  if (!isSigned) throw invalid('signature')
  return {
    audience: aud,
    isVerified: true,
    rowKey: fromSessionId(sid),
    idp: typeof idp === 'string' ? idp : undefined,
  }
}

function read(fields: URLSearchParams, name: keyof typeof limits): string | undefined {
  return optional(fields, name, limits[name])
}

/** In bytes too: the broker's own state carries it through the provider, and has an end (`mostTokenCharacters`). */
function readState(fields: URLSearchParams): string | undefined {
  const state = read(fields, 'state')
  if (state !== undefined && Buffer.byteLength(JSON.stringify(state)) > mostStateBytes) {
    throw parameterInvalid('state', 'too long')
  }
  return state
}

function invalid(detail: string): BrokerError {
  return new BrokerError('id_token_hint_invalid', { detail })
}

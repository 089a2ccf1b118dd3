/**
 * The authorization code flow of a page: leaves for the broker, and takes the answer.
 * RFC 6749 §4.1, RFC 7636, RFC 9207.
 */
import { BrokerError, failure } from './broker-error.ts'
import type { Call } from './oauth-grant.ts'
import { addParameters, leave } from './page.ts'

/** A sign-in that has begun, as the tab notes it until the answer comes. */
interface BegunSignIn {
  readonly state: string
  readonly nonce: string
  readonly verifier: string
  readonly returnUrl: string
  readonly api: string
}

/**
 * @param name of the note
 * @param url the authorization request, without the parts that protect it
 * @param api that the access token of the code is for
 * @throws {TypeError} for a return URL on another origin; `replaceState` would refuse it after the person has signed in
 */
export async function beginSignIn(name: string, url: URL, to: string, api: string): Promise<never> {
  const [state, nonce, verifier] = [random(), random(), random()]
  const hash = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(verifier))
  addParameters(url.searchParams, {
    responseType: 'code',
    state,
    nonce,
    codeChallenge: encode(new Uint8Array(hash)),
    codeChallengeMethod: 'S256',
  })
  const { origin, href: returnUrl } = new URL(to, location.href)
  if (origin !== location.origin) throw new TypeError('returnUrl is on another origin.')
  sessionStorage.setItem(name, JSON.stringify({ state, nonce, verifier, returnUrl, api } satisfies BegunSignIn))
  return leave(url)
}

/**
 * Reads the answer in the page's address, and puts the address of before the sign-in in its place.
 *
 * @param base the issuer
 * @returns tokens whose ID token is not checked yet; undefined where the address has no answer
 * @throws {BrokerError} `state_mismatch`, `issuer_mismatch`, the error of the answer, and those of `/token`
 */
export async function takeAnswer(name: string, base: string, redirectUri: string, call: Call) {
  const { href } = location
  const { searchParams: answer } = new URL(href)
  const given = answer.get('state')
  if (!given || !answer.has('iss') || href.split('?')[0] !== redirectUri.split('?')[0]) return undefined
  const begun = JSON.parse(sessionStorage.getItem(name) ?? '{}') as Partial<BegunSignIn>
  // Before anything is sent: neither a reload nor a copy of the tab redeems the code again.
  sessionStorage.removeItem(name)
  const { state, nonce, verifier: codeVerifier, returnUrl, api = '' } = begun
  history.replaceState(history.state, '', state === given ? returnUrl : redirectUri)
  if (state !== given) throw failure('state_mismatch')
  if (answer.get('iss') !== base) throw failure('issuer_mismatch')
  const code = answer.get('error')
  if (code) throw new BrokerError({ code, error_description: answer.get('error_description') ?? '' })
  const fields = { grantType: 'authorization_code', code: answer.get('code'), redirectUri, codeVerifier }
  return { tokens: await call('/token', fields), nonce, api }
}

/** 256 bits, as PKCE recommends for the verifier (RFC 7636 §7.1). */
export function random(): string {
  return encode(crypto.getRandomValues(new Uint8Array(32)))
}

function encode(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '')
}

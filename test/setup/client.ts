/** A hand-written OAuth client: the requests that tests send and attacks change. */
import { createHash, randomBytes } from 'node:crypto'
import type { Call, Person, Reply } from './person.ts'
import type { Registration } from './stack.ts'

/** A front end on another site than the broker. */
export const app: Registration = {
  id: 'app',
  kind: 'oauth',
  origins: ['http://127.0.0.1:5173', 'https://app.example.net'],
  redirectUris: ['http://127.0.0.1:5173/callback', 'https://app.example.net/callback?tenant=a'],
  signedOutUrls: ['http://127.0.0.1:5173/'],
  apis: [
    { name: 'orders', scopes: ['api://demo/orders.read', 'api://demo/orders.write'] },
    { name: 'bills', scopes: ['api://bills/read'] },
  ],
}

export const redirectUri = 'http://127.0.0.1:5173/callback'
export const ordersRead = 'api://demo/orders.read'

export interface Pkce {
  readonly codeVerifier: string
  readonly codeChallenge: string
}

export function newPkce(): Pkce {
  const codeVerifier = randomBytes(32).toString('base64url')
  return { codeVerifier, codeChallenge: createHash('sha256').update(codeVerifier).digest('base64url') }
}

/** The parameters of a valid authorization request. The value `undefined` removes one. */
export function authorizationRequest(
  pkce: Pkce,
  changes: Readonly<Record<string, string | undefined>> = {},
): Record<string, string> {
  const parameters: Readonly<Record<string, string | undefined>> = {
    client_id: 'app',
    redirect_uri: redirectUri,
    response_type: 'code',
    scope: ordersRead,
    state: 'state-of-the-client',
    code_challenge: pkce.codeChallenge,
    code_challenge_method: 'S256',
    ...changes,
  }
  return Object.fromEntries(Object.entries(parameters).filter((one): one is [string, string] => one[1] !== undefined))
}

/** A form of the client, as its script posts it from another site: without cookies. */
export function post(
  path: string,
  fields: Readonly<Record<string, string | undefined>>,
  call: Call & { url: string },
): Promise<Reply> {
  const body = new URLSearchParams(
    Object.entries(fields).filter((one): one is [string, string] => one[1] !== undefined),
  )
  return send(path, body, call)
}

export async function send(
  path: string,
  body: URLSearchParams | string,
  { url, headers = {} }: Call & { url: string },
): Promise<Reply> {
  const response = await fetch(new URL(path, url), {
    method: 'POST',
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      origin: app.origins[0]!,
      'sec-fetch-site': 'cross-site',
      ...headers,
    },
    body,
  })
  const text = await response.text()
  return {
    status: response.status,
    headers: response.headers,
    text,
    json: text === '' ? {} : (JSON.parse(text) as Record<string, unknown>),
    location: response.headers.get('location'),
    cookies: response.headers.getSetCookie(),
  }
}

/**
 * Signs a person in, from `/login` to the client's redirect URI.
 *
 * @returns the parameters of the authorization response
 */
export async function authorize(
  person: Person,
  parameters: Readonly<Record<string, string>> | URLSearchParams,
  username?: string,
): Promise<URLSearchParams> {
  const done = await person.signIn(parameters, username)
  if (done.location === null) throw new Error(`the callback answered ${done.status}: ${done.text}`)
  return new URL(done.location).searchParams
}

interface Tokens {
  readonly accessToken: string
  readonly refreshToken: string
}

/** A complete sign-in of the client, with the redemption of the code. */
export async function signInByCode(
  person: Person,
  url: string,
  changes: Readonly<Record<string, string | undefined>> = {},
  username?: string,
): Promise<Tokens & { code: string; pkce: Pkce }> {
  const pkce = newPkce()
  const request = authorizationRequest(pkce, changes)
  const code = (await authorize(person, request, username)).get('code')!
  const answer = await redeem(url, code, pkce, { redirect_uri: request.redirect_uri })
  return {
    code,
    pkce,
    accessToken: answer.json.access_token as string,
    refreshToken: answer.json.refresh_token as string,
  }
}

export function redeem(
  url: string,
  code: string,
  { codeVerifier }: Pkce,
  changes: Readonly<Record<string, string | undefined>> = {},
): Promise<Reply> {
  return post(
    '/token',
    {
      grant_type: 'authorization_code',
      client_id: 'app',
      redirect_uri: redirectUri,
      code,
      code_verifier: codeVerifier,
      ...changes,
    },
    { url },
  )
}

export function refresh(
  url: string,
  refreshToken: string,
  changes: Readonly<Record<string, string | undefined>> = {},
): Promise<Reply> {
  return post(
    '/token',
    { grant_type: 'refresh_token', client_id: 'app', refresh_token: refreshToken, ...changes },
    { url },
  )
}

/** Drives load from the bench's own process: sign-ins and session reads over HTTP, each bounded in time. */
import { createHash } from 'node:crypto'
import http from 'node:http'
import { createVisitor } from '../../local/identity-provider/browser.ts'
import type { Visitor } from '../../local/identity-provider/browser.ts'

/** A program that signs people in: the broker or the peer. */
export interface RelyingParty {
  readonly name: string
  readonly url: string
  readonly loginPath: string
  readonly sessionPath: string
  /** The last that it wrote to its log. */
  log(): string
}

/** A person of the provider. */
export interface Person {
  readonly username: string
  readonly name: string
  readonly objectId: string
}

/**
 * A person with a browser, which is signed in at the provider from the second time on:
 * that costs the provider one page.
 */
export interface Guest {
  readonly username: string
  readonly visitor: Visitor
}

/** The headers of a front end's script on the same site; the peer receives them too, but reads none. */
export const frontEndOrigin = 'http://localhost:3000'
const scriptHeaders = { origin: frontEndOrigin, 'sec-fetch-site': 'same-site', accept: 'application/json' }
const requestMilliseconds = 20_000
const agent = new http.Agent({ keepAlive: true, maxSockets: 16 })

/** The same for the same number, in whichever process they are made. */
export function createPeople(count: number): readonly Person[] {
  return Array.from({ length: count }, (_, index) => ({
    username: `person${index}@contoso.example`,
    name: `Person ${index}`,
    objectId: `aaaaaaaa-0000-4000-8000-${String(index).padStart(12, '0')}`,
  }))
}

export function withBrowser({ username }: Person): Guest {
  return { username, visitor: createVisitor() }
}

/**
 * A whole sign-in with a browser that has no cookies of the relying party.
 *
 * @returns the cookie header of the session
 */
export async function signIn(party: RelyingParty, { username, visitor }: Guest): Promise<string> {
  const begun = await send(`${party.url}${party.loginPath}`)
  if (!isRedirect(begun) || !begun.location) throw unexpected(party, 'login', begun)
  // Its pages are on both, and this browser has no certificates.
  const page = begun.location.replace(/^https:\/\/127\.0\.0\.1:/, 'http://127.0.0.1:')
  const { mode, fields } = await visitor.signIn(page, username)
  if (mode !== 'form_post') throw new Error(`${party.name}: the provider answered by ${mode}`)
  const done = await send(`${party.url}/callback`, {
    cookie: begun.cookie,
    form: new URLSearchParams(fields).toString(),
  })
  if (!isRedirect(done) || done.cookie === '') throw unexpected(party, 'callback', done)
  return done.cookie
}

/** The code challenge of every sign-in; the cost at the broker is the same as of a new one. */
const verifier = 'v'.repeat(43)
const challenge = createHash('sha256').update(verifier).digest('base64url')

/** A sign-in of an OAuth client, from `/login` to the tokens. */
export async function signInByOAuth(
  party: RelyingParty,
  { username, visitor }: Guest,
  client: { readonly clientId: string; readonly scope: string; readonly redirectUri: string },
): Promise<void> {
  const known = { client_id: client.clientId, redirect_uri: client.redirectUri }
  const query = new URLSearchParams({
    ...known,
    response_type: 'code',
    scope: client.scope,
    state: 'state',
    nonce: 'nonce',
    code_challenge: challenge,
    code_challenge_method: 'S256',
  })
  const begun = await send(`${party.url}/login?${query.toString()}`)
  if (!isRedirect(begun) || !begun.location) throw unexpected(party, 'login', begun)
  const page = begun.location.replace(/^https:\/\/127\.0\.0\.1:/, 'http://127.0.0.1:')
  const { fields } = await visitor.signIn(page, username)
  const form = new URLSearchParams(fields).toString()
  const done = await send(`${party.url}/callback`, { cookie: begun.cookie, form })
  const code = done.location === undefined ? null : new URL(done.location).searchParams.get('code')
  if (code === null) throw unexpected(party, 'callback', done)
  const redemption = { grant_type: 'authorization_code', ...known, code, code_verifier: verifier }
  const tokens = await send(`${party.url}/token`, { form: new URLSearchParams(redemption).toString() })
  if (tokens.status !== 200) throw unexpected(party, 'token', tokens)
}

function isRedirect({ status }: Answer): boolean {
  return status === 303 || status === 302
}

export async function readSession(party: RelyingParty, cookie: string): Promise<void> {
  const read = await send(`${party.url}${party.sessionPath}`, { cookie, headers: scriptHeaders })
  if (read.status !== 200 || !read.body.includes('"username"')) throw unexpected(party, 'session', read)
}

/** With the headers of a session read. */
export async function get(url: string): Promise<void> {
  const { status } = await send(url, { cookie: `__Host-session-shop=${'x'.repeat(53)}`, headers: scriptHeaders })
  if (status !== 200) throw new Error(`${url}: ${status}`)
}

/** Does `work` so many times, a few at once. */
export async function repeat(count: number, atOnce: number, work: (index: number) => Promise<unknown>): Promise<void> {
  let next = 0
  const worker = async () => {
    while (next < count) await work(next++)
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
}

interface Answer {
  readonly status: number
  readonly location: string | undefined
  /** A Cookie header of the cookies that were set and not ended. */
  readonly cookie: string
  readonly body: string
}

interface Request {
  readonly cookie?: string
  readonly form?: string
  readonly headers?: Readonly<Record<string, string>>
}

function send(url: string, { cookie, form, headers }: Request = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = http.request(
      url,
      {
        agent,
        method: form === undefined ? 'GET' : 'POST',
        headers: {
          accept: 'text/html',
          ...headers,
          ...(cookie ? { cookie } : {}),
          ...(form === undefined
            ? {}
            : { 'content-type': 'application/x-www-form-urlencoded', 'content-length': Buffer.byteLength(form) }),
        },
      },
      (response) => {
        let body = ''
        response.setEncoding('utf8')
        response.on('data', (text: string) => void (body += text))
        response.on('error', reject)
        response.on('end', () => {
          const { location, 'set-cookie': set = [] } = response.headers
          resolve({ status: response.statusCode ?? 0, location, cookie: cookieHeader(set), body })
        })
      },
    )
    request.setTimeout(requestMilliseconds, () => request.destroy(new Error(`${url}: no answer in time`)))
    request.on('error', reject)
    request.end(form)
  })
}

function cookieHeader(set: readonly string[]): string {
  return set
    .filter((cookie) => !/;\s*(max-age=0\b|expires=Thu, 01 Jan 1970)/i.test(cookie))
    .map((cookie) => cookie.split(';', 1)[0])
    .join('; ')
}

function unexpected(party: RelyingParty, step: string, { status, body }: Answer): Error {
  return new Error(`${party.name}: ${step} answered ${status}: ${body.slice(0, 300)}\n${party.log()}`)
}

/**
 * The demo API: accepts bearer tokens of the local identity provider, checks each of them,
 * and returns the caller. RFC 6750.
 */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import https from 'node:https'
import { createRemoteJWKSet, customFetch, jwtVerify } from 'jose'
import type { FetchImplementation, JWTPayload } from 'jose'
import { listen } from '../http-server.ts'

interface DemoApiOptions {
  /** 0 selects a free one. */
  readonly port: number
  /** Several where the provider issues tokens for several tenants. */
  readonly issuer: string | readonly string[]
  readonly jwksUrl: string
  /** The local certificate authority, PEM: it issued the certificate of the key set's server. */
  readonly ca: string
  readonly audience: string
  /** Origins of the front ends that may call; a function where they are known later. */
  readonly corsOrigins: readonly string[] | (() => readonly string[])
}

export interface DemoApi {
  /** Send GET with a bearer token. */
  readonly url: string
  readonly port: number
  close(): Promise<void>
}

interface Refusal {
  readonly status: 401 | 403
  readonly error: 'invalid_token' | 'insufficient_scope'
  readonly description: string
  readonly scope?: string
}

const orders = [
  { id: 1, what: 'Analytical engine, one', state: 'on its way' },
  { id: 2, what: 'Punched cards, a thousand', state: 'delivered' },
]

/** @throws {LocalError} when the port is in use */
export async function startDemoApi(options: DemoApiOptions): Promise<DemoApi> {
  const keys = createRemoteJWKSet(new URL(options.jwksUrl), {
    [customFetch]: fetchTrusting(options.ca),
    // An unknown key is fetched at once, without a pause between fetches: on a laptop there is no flood to prevent.
    cooldownDuration: 0,
  })
  const verify = async (token: string) =>
    (
      await jwtVerify(token, keys, {
        issuer: [options.issuer].flat(),
        audience: options.audience,
        algorithms: ['RS256'],
      })
    ).payload

  const server = await listen({ name: 'demo API', port: options.port, handler: answering(verify, options.corsOrigins) })
  return { url: `http://localhost:${server.port}/orders`, port: server.port, close: () => server.close() }
}

function answering(
  verify: (token: string) => Promise<JWTPayload>,
  corsOrigins: DemoApiOptions['corsOrigins'],
): RequestListener {
  return (request, response) => {
    void answer(request, response).catch(() => send(response, 500, { error: 'server_error' }))
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    allowOrigin(request, response, typeof corsOrigins === 'function' ? corsOrigins() : corsOrigins)
    if (request.method === 'OPTIONS') {
      send(response, 204)
      return
    }
    const { pathname } = new URL(request.url ?? '/', 'http://localhost')
    if (!['/', '/orders', '/orders/approvals'].includes(pathname)) {
      send(response, 404, { error: 'not_found' })
      return
    }
    const needed = request.method === 'GET' ? 'orders.read' : request.method === 'POST' ? 'orders.write' : undefined
    if (needed === undefined) {
      send(response, 405, { error: 'method_not_allowed' })
      return
    }

    const token = /^Bearer ([^\s]+)$/i.exec(request.headers.authorization ?? '')?.[1]
    if (token === undefined) {
      challenge(response)
      return
    }
    const claims = await verify(token).catch((error: unknown) => error)
    if (claims instanceof Error) {
      refuse(response, { status: 401, error: 'invalid_token', description: claims.message })
      return
    }
    if (pathname === '/orders/approvals' && !hasContext(claims as JWTPayload)) {
      challengeForContext(response)
      return
    }
    const { scp = '', name, oid, tid } = claims as Readonly<Record<string, string>>
    const scopes = scp.split(' ').filter(Boolean)
    if (!scopes.includes(needed)) {
      const description = `The token lacks the scope ${needed}.`
      refuse(response, { status: 403, error: 'insufficient_scope', description, scope: needed })
      return
    }
    send(response, 200, { caller: { name, oid, tid }, scopes, orders })
  }
}

/** Exact origins, never `*`: the request carries a token. */
function allowOrigin(request: IncomingMessage, response: ServerResponse, origins: readonly string[]): void {
  response.setHeader('vary', 'Origin')
  const { origin } = request.headers
  if (origin === undefined || !origins.includes(origin)) return
  response.setHeader('access-control-allow-origin', origin)
  response.setHeader('access-control-allow-methods', 'GET, POST')
  response.setHeader('access-control-allow-headers', 'authorization, content-type')
  response.setHeader('access-control-expose-headers', 'www-authenticate')
}

/** Without a token the challenge names no error. RFC 6750 §3.1. */
function challenge(response: ServerResponse): void {
  response.setHeader('www-authenticate', 'Bearer realm="demo"')
  send(response, 401, { error: 'token_missing' })
}

/** The authentication context that approvals require. */
const approvalContext = 'c1'

function hasContext({ acrs }: JWTPayload): boolean {
  return Array.isArray(acrs) && acrs.includes(approvalContext)
}

/** As Entra's guide for APIs writes it: the challenge is base64 of the claims request. */
function challengeForContext(response: ServerResponse): void {
  const claims = { access_token: { acrs: { essential: true, value: approvalContext } } }
  const encoded = Buffer.from(JSON.stringify(claims)).toString('base64')
  response.setHeader('www-authenticate', `Bearer realm="demo", error="insufficient_claims", claims="${encoded}"`)
  send(response, 401, { error: 'insufficient_claims' })
}

function refuse(response: ServerResponse, { status, error, description, scope }: Refusal): void {
  const members = { error, error_description: description.replaceAll('"', "'"), ...(scope !== undefined && { scope }) }
  const written = Object.entries(members).map(([name, value]) => `${name}="${value}"`)
  response.setHeader('www-authenticate', `Bearer realm="demo", ${written.join(', ')}`)
  send(response, status, members)
}

function send(response: ServerResponse, status: number, body?: object): void {
  response.statusCode = status
  response.setHeader('cache-control', 'no-store')
  if (body === undefined) return void response.end()
  response.setHeader('content-type', 'application/json')
  response.end(JSON.stringify(body))
}

/** `fetch` has no option for certificate authorities; node:https has. */
function fetchTrusting(ca: string): FetchImplementation {
  return (url, { headers, signal }) =>
    new Promise((resolve, reject) => {
      const options = { ca, agent: false, headers: Object.fromEntries(headers), signal }
      const request = https.get(url, options, (response) => {
        let text = ''
        response.on('data', (part: Buffer) => (text += part.toString()))
        response.on('error', reject)
        response.on('end', () => resolve(new Response(text, { status: response.statusCode ?? 500 })))
      })
      request.on('error', reject)
    })
}

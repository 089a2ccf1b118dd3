/**
 * The broker under a path of the application's own host, behind the application's server, as with a reverse proxy, the
 * rules of a static web app or the rewrites of a framework.
 * The server also renders pages, from the cookie of the request.
 */
import { request as httpRequest } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import * as oauth from 'oauth4webapi'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { listen } from '../../local/http-server.ts'
import type { LocalServer } from '../../local/http-server.ts'
import { ada } from '../setup/person.ts'
import { desk, startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { closeVisitors, describeInBrowser, openBrowser } from './chromium.ts'
import { newVisitor, signInAtProvider } from './visitor.ts'

describeInBrowser('one host for the application and the broker', () => {
  let stack: Stack
  let browser: Browser
  let server: LocalServer
  let origin: string
  beforeAll(async () => {
    browser = await openBrowser()
    let broker = ''
    server = await listen({ name: 'application', port: 0, handler: (...exchange) => void handle(broker, ...exchange) })
    origin = `http://localhost:${server.port}`
    stack = await startStack({
      baseUrl: (brokerUrl) => {
        broker = brokerUrl
        return Promise.resolve(`${origin}/auth`)
      },
      frontEnds: [
        desk,
        { id: 'shop', origins: [origin], apis: [{ name: 'orders', scopes: ['api://demo/orders.read'] }] },
      ],
    })
  })
  afterAll(async () => {
    await closeVisitors(browser)
    await Promise.all([stack.close(), server.close()])
  })

  it('signs in and out, and the server renders the name from the cookie, with any headers that it forwards', async () => {
    const { context, tab } = await newVisitor(browser)
    const page = await tab(`${origin}/`)
    expect(await page.textContent('p')).toBe('401 signed_out')

    await page.goto(`${origin}/auth/login?frontend=shop&return_url=${encodeURIComponent(`${origin}/`)}`)
    await signInAtProvider(page, ada)
    await page.waitForURL(`${origin}/`)
    expect(await page.textContent('p')).toBe('200 Ada Lovelace')
    expect(await page.textContent('code')).toBe('200 Bearer')

    // A script of the page names no front end, and its browser sends no Origin.
    const bySession = await page.evaluate(async () => (await (await fetch('/auth/session')).json()) as object)
    expect(bySession).toMatchObject({ name: 'Ada Lovelace' })

    // A link on another site: the navigation's headers name that site, and the server forwards them.
    const elsewhere = await tab(`http://127.0.0.1:${server.port}/link`)
    await elsewhere.click('a')
    await elsewhere.waitForURL(`${origin}/`)
    expect(await elsewhere.textContent('p')).toBe('200 Ada Lovelace')

    const signedOut = await page.evaluate(async () => {
      const headers = { 'broker-request': '1', 'content-type': 'application/json' }
      const response = await fetch('/auth/logout', { method: 'POST', headers, body: '{}' })
      return (await response.json()) as { url: string }
    })
    await page.goto(signedOut.url)
    await page.waitForURL(`${origin}/`)
    expect(await page.textContent('p')).toBe('401 signed_out')
    await context.close()
  })

  it('signs in through a service worker of the application', async () => {
    const { context, tab } = await newVisitor(browser)
    const page = await tab(`${origin}/`)
    await page.evaluate(async () => {
      await navigator.serviceWorker.register('/worker.js')
      await navigator.serviceWorker.ready
    })
    await page.reload()

    await page.goto(`${origin}/auth/login?frontend=shop&return_url=${encodeURIComponent(`${origin}/`)}`)
    await signInAtProvider(page, ada)
    await page.waitForURL(`${origin}/`)
    expect(await page.evaluate(() => navigator.serviceWorker.controller !== null)).toBe(true)
    const session = await page.evaluate(async () => (await (await fetch('/auth/session')).json()) as object)
    expect(session).toMatchObject({ name: 'Ada Lovelace' })
    await context.close()
  })

  it('returns no session to a script of another site, although the server accepts a navigation’s headers', async () => {
    const call = (headers: Record<string, string>) => fetch(`${origin}/auth/session?frontend=shop`, { headers })

    const script = await call({ 'sec-fetch-site': 'cross-site', 'sec-fetch-dest': 'script' })
    const navigation = await call({ 'sec-fetch-site': 'cross-site', 'sec-fetch-dest': 'document' })

    expect(await script.json()).toMatchObject({ status: 403, code: 'request_not_from_front_end' })
    expect(await navigation.json()).toMatchObject({ status: 401, code: 'signed_out' })
  })

  it('publishes its metadata at the URL of RFC 8414 §3.1, and links with its path', async () => {
    const issuer = new URL(`${origin}/auth`)
    // eslint-disable-next-line @typescript-eslint/no-deprecated -- loopback
    const options = { algorithm: 'oauth2', [oauth.allowInsecureRequests]: true } as const
    const metadata = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, options))

    expect(metadata).toMatchObject({
      issuer: `${origin}/auth`,
      authorization_endpoint: `${origin}/auth/login`,
      token_endpoint: `${origin}/auth/token`,
    })
    const other = await fetch(`${origin}/.well-known/oauth-authorization-server/other`)
    expect(other.status).toBe(404)
    const { sign_in_url } = (await (await fetch(`${origin}/auth/session?frontend=shop`)).json()) as {
      sign_in_url: string
    }
    expect(sign_in_url).toBe(`${origin}/auth/login?frontend=shop`)
  })

  it('also works if the host itself has the prefix, without a proxy that removes it', async () => {
    const instance = await stack.startInstance({ AzureFunctionsJobHost__extensions__http__routePrefix: 'auth' })

    expect((await fetch(`${instance.url}/auth/health`)).status).toBe(200)
    const session = await fetch(`${instance.url}/auth/session?frontend=shop`)
    expect(await session.json()).toMatchObject({ sign_in_url: `${origin}/auth/login?frontend=shop` })
    expect((await fetch(`${instance.url}/session?frontend=shop`)).status).toBe(404)
  })
})

/** The application's server: `/auth` and the metadata go to the broker, everything else is rendered here. */
async function handle(broker: string, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  const path = incoming.url ?? '/'
  const forBroker = /^\/auth(\/.*)$/.exec(path)?.[1] ?? (path.startsWith('/.well-known/') ? path : undefined)
  if (forBroker !== undefined) {
    pass(new URL(forBroker, broker), incoming, outgoing)
    return
  }
  if (path === '/worker.js') {
    outgoing.setHeader('content-type', 'text/javascript')
    outgoing.end(`addEventListener('install', () => skipWaiting())
      addEventListener('activate', (event) => event.waitUntil(clients.claim()))
      addEventListener('fetch', (event) => event.respondWith(fetch(event.request)))`)
    return
  }
  outgoing.setHeader('content-type', 'text/html; charset=utf-8')
  if (path === '/link') {
    outgoing.end(`<a href="http://localhost:${incoming.socket.localPort ?? 0}/">to the application</a>`)
    return
  }
  if (path !== '/') {
    outgoing.writeHead(404).end()
    return
  }
  // A careless server: it forwards all headers of the browser, except those of the connection.
  const own = ['host', 'connection', 'accept-encoding']
  const headers = Object.fromEntries(
    Object.entries(incoming.headers).filter((pair): pair is [string, string] => typeof pair[1] === 'string'),
  )
  for (const name of own) Reflect.deleteProperty(headers, name)
  const session = await fetch(`${broker}/session?frontend=shop`, { headers })
  const { name, code } = (await session.json()) as { name?: string; code?: string }
  const token = await fetch(`${broker}/session/token?frontend=shop`, {
    method: 'POST',
    headers: {
      ...headers,
      origin: `http://${incoming.headers.host ?? ''}`,
      'broker-request': '1',
      'content-type': 'application/json',
    },
    body: JSON.stringify({ api: 'orders' }),
  })
  const { token_type } = (await token.json()) as { token_type?: string }
  outgoing.end(`<p>${session.status} ${name ?? code ?? ''}</p><code>${token.status} ${token_type ?? ''}</code>`)
}

/** A reverse proxy that removes the prefix. */
function pass(target: URL, incoming: IncomingMessage, outgoing: ServerResponse): void {
  const proxied = httpRequest(
    target,
    { method: incoming.method, headers: { ...incoming.headers, host: target.host } },
    (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.rawHeaders)
      answer.pipe(outgoing)
    },
  )
  proxied.on('error', () => outgoing.writeHead(502).end())
  incoming.pipe(proxied)
}

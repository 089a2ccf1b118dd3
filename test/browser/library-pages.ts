/** Pages of front ends that load the browser library, and the APIs that these pages call. */
import type { BrowserContext, JSHandle, Page, Request } from 'playwright-core'
import { listen } from '../../local/http-server.ts'

export interface LibraryPages {
  /** The root of the pages, on the broker's own site. */
  readonly sameSite: string
  /** The same server on another site. */
  readonly otherSite: string
  /** Serves this HTML at a path, instead of the query. */
  write(path: string, html: string): void
  close(): Promise<void>
}

/** Serves pages whose body is their own query, so that a test writes the page that it needs (`pageOf`). */
export async function servePages(): Promise<LibraryPages> {
  const written = new Map<string, string>()
  const handler = (
    request: { url?: string | undefined },
    response: { setHeader(name: string, value: string): void; end(text: string): void },
  ) => {
    const { pathname, search } = new URL(request.url ?? '/', 'http://localhost')
    const body = written.get(pathname) ?? decodeURIComponent(search.slice(1))
    response.setHeader('content-type', 'text/html; charset=utf-8')
    response.end(
      `<!doctype html><title>page</title><link rel="icon" href="data:," />${body.startsWith('<') ? body : ''}`,
    )
  }
  const server = await listen({ name: 'front end', port: 0, handler })
  return {
    sameSite: `http://localhost:${server.port}/`,
    otherSite: `http://127.0.0.1:${server.port}/`,
    write: (path, html) => void written.set(path, html),
    close: () => server.close(),
  }
}

/** The address of a page with this body. */
export function pageOf(root: string, html: string): string {
  return `${root}?${encodeURIComponent(html)}`
}

/** Functions that both clients of the library have. */
interface LibraryClient {
  getState(): { readonly status: string }
}

interface State {
  readonly error?: { readonly code: string } | undefined
}

/**
 * Runs a script that sets `window.client`, and waits until the client has its first state.
 *
 * @returns the page's client, for `evaluate`; it ends with the page
 */
export async function startClient<Client extends LibraryClient>(
  opened: Page,
  script: string,
): Promise<JSHandle<Client>> {
  await opened.addScriptTag({ type: 'module', content: script })
  const client: JSHandle = await opened.waitForFunction(() => {
    const { client } = window as { client?: LibraryClient }
    return client?.getState().status === 'loading' ? undefined : client
  })
  return client as JSHandle<Client>
}

/** The states that the page's client has reported to `window.states`. An error is reduced to its code. */
export async function statesOf(opened: Page): Promise<readonly Readonly<Record<string, unknown>>[]> {
  return opened.evaluate(() =>
    (window as unknown as { states: readonly State[] }).states.map(({ error, ...rest }) => ({
      ...rest,
      code: error?.code,
    })),
  )
}

/** The newest of these states. */
export async function lastState(opened: Page) {
  return (await statesOf(opened)).at(-1)!
}

/** Refuses the pages of this browser channels, locks and storage, as Firefox does where it blocks all cookies. */
export async function refuseStorage(context: BrowserContext): Promise<void> {
  await context.addInitScript(() => {
    function refuse(): never {
      throw new DOMException('The operation is insecure.', 'SecurityError')
    }
    const reject = () => new Promise(refuse)
    Object.assign(window, { BroadcastChannel: refuse })
    Object.assign(LockManager.prototype, { request: reject, query: reject })
    Object.defineProperty(window, 'sessionStorage', { get: refuse })
  })
}

/** The line that a page logs after a failure. A call by the test instead would count as a click. */
export async function failure(context: BrowserContext): Promise<string> {
  const message = await context.waitForEvent('console', (one) => one.text().startsWith('failed'))
  return message.text()
}

/** The pages that tabs open below this address from now on. */
export function navigationsTo(context: BrowserContext, address: string): readonly URL[] {
  const opened: URL[] = []
  context.on('request', (request) => {
    if (request.isNavigationRequest() && request.url().startsWith(address)) opened.push(new URL(request.url()))
  })
  return opened
}

/** An answer of an API: a claims challenge, or a body with status 200. */
type ApiAnswer = { readonly challenge: string } | { readonly body: string | null }

/** Serves an API for every origin. A preflight is accepted. */
export async function serveApi(
  context: BrowserContext,
  url: string,
  answer: (request: Request) => ApiAnswer,
): Promise<void> {
  await context.route(url, (route) => {
    const headers = {
      'access-control-allow-origin': '*',
      'access-control-allow-headers': 'authorization',
      'access-control-expose-headers': 'www-authenticate',
    }
    if (route.request().method() === 'OPTIONS') return route.fulfill({ status: 204, headers })
    const answered = answer(route.request())
    if ('body' in answered) return route.fulfill({ headers, body: answered.body ?? '' })
    return route.fulfill({ status: 401, headers: { ...headers, 'www-authenticate': answered.challenge } })
  })
}

/** A claims parameter as a `WWW-Authenticate` header carries it. */
export function encodeClaims(claims: string): string {
  return Buffer.from(claims).toString('base64')
}

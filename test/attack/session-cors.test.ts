import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { deskPage, shopPage } from '../setup/person.ts'
import type { Person, Reply } from '../setup/person.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { warmUp } from '../setup/warm-up.ts'

const routes = [
  { path: '/session', method: 'GET' },
  { path: '/session/token', method: 'POST' },
  { path: '/logout', method: 'POST' },
]
const strangers = [
  'https://evil.example',
  'null',
  'http://localhost:3001',
  'http://localhost',
  'https://localhost:3000',
  'http://localhost:3000.evil.example',
  'http://evil.localhost:3000',
  'http://LOCALHOST:3000',
  'http://localhost:3000/',
  '*',
]

describe('another origin’s script', () => {
  let stack: Stack
  let person: Person
  beforeAll(async () => {
    stack = await startStack()
    await warmUp(stack)
    person = stack.person()
    await person.signIn({ frontend: 'shop', return_url: 'http://localhost:3000/' })
  })
  afterAll(() => stack.close())

  const preflight = (
    path: string,
    origin: string,
    method: string,
    requested = 'broker-request,content-type',
  ): Promise<Reply> =>
    stack.person().call(`${path}?frontend=shop`, {
      method: 'OPTIONS',
      headers: {
        origin,
        'access-control-request-method': method,
        'access-control-request-headers': requested,
      },
    })
  const corsOf = ({ headers }: Reply) => [...headers.keys()].filter((name) => name.startsWith('access-control-'))

  describe.each(routes)('of $path', ({ path, method }) => {
    it.each(strangers)('may not send a request from %s, and cannot read an answer', async (origin) => {
      const asked = await preflight(path, origin, method)
      const answered = await person.call(`${path}?frontend=shop`, { method, headers: { origin } })

      for (const reply of [asked, answered]) {
        expect(corsOf(reply)).toEqual([])
        expect(reply.headers.get('vary')).toBe('Origin')
      }
      expect(asked.status).toBe(204)
    })

    it.each([shopPage, deskPage])(
      'may send a request from $origin, which the answer echoes unchanged',
      async ({ origin }) => {
        const { status, headers } = await preflight(path, origin, method)

        expect(status).toBe(204)
        expect(headers.get('access-control-allow-origin')).toBe(origin)
        expect(headers.get('access-control-allow-credentials')).toBe('true')
        expect(headers.get('access-control-allow-methods')).toBe(method)
        expect(headers.get('access-control-allow-headers')?.toLowerCase()).toMatch(/broker-request, content-type/)
        expect(headers.get('access-control-allow-headers')).not.toContain('*')
        expect(headers.get('vary')).toBe('Origin')
      },
    )

    it.each([
      'x-requested-with',
      'cache-control,pragma',
      'x-datadog-trace-id,x-datadog-parent-id,x-datadog-origin,x-datadog-sampling-priority',
      'baggage,sentry-trace',
      'authorization',
      Array.from({ length: 64 }, (_, i) => `x-${i}`).join(', '),
      'X-Requested-With',
    ])('may send the headers that its libraries add: %s', async (requested) => {
      const { headers } = await preflight(path, shopPage.origin, method, requested)
      const allowed = headers.get('access-control-allow-headers')?.split(', ') ?? []

      expect(allowed).toEqual(expect.arrayContaining(requested.toLowerCase().split(/, ?/)))
      expect(allowed).toContain('broker-request')
      expect(corsOf(await preflight(path, strangers[0]!, method, requested))).toEqual([])
    })

    it.each([
      '*',
      'x y',
      'x-a,,x-b',
      'x-a: 1',
      'a'.repeat(101),
      Array.from({ length: 65 }, (_, i) => `x-${i}`).join(','),
      'x-a,'.repeat(2_000),
    ])('is allowed only the usual headers if it requests %j', async (requested) => {
      const { status, headers } = await preflight(path, shopPage.origin, method, requested)

      expect(status).toBe(204)
      expect(headers.get('access-control-allow-headers')).toBe(
        'broker-request, content-type, traceparent, tracestate, request-id, request-context',
      )
    })

    it('may read an error as well as a success, if it is the front end’s own', async () => {
      const refused = await stack.person().call(`${path}?frontend=shop`, {
        method,
        headers: { origin: shopPage.origin },
      })

      expect(refused.status).toBeGreaterThanOrEqual(400)
      expect(refused.headers.get('access-control-allow-origin')).toBe(shopPage.origin)
      expect(refused.headers.get('access-control-allow-credentials')).toBe('true')
      expect(refused.headers.get('access-control-expose-headers')).toContain('Broker-Reference')
      expect(refused.headers.get('vary')).toBe('Origin')
    })

    it('may read why a method is not accepted', async () => {
      const refused = await person.call(`${path}?frontend=shop`, {
        method: 'PUT',
        headers: { origin: shopPage.origin },
        body: '{}',
      })

      expect(refused.status).toBe(405)
      expect(refused.headers.get('access-control-allow-origin')).toBe(shopPage.origin)
    })
  })

  it('never gets a wildcard, for any caller and any request', async () => {
    const replies = [
      await person.script(shopPage, '/session'),
      await person.sessionToken(shopPage, { api: 'orders' }),
      await person.call('/session?frontend=shop'),
      await person.call('/health'),
      await person.call('/login?frontend=shop', { headers: { origin: shopPage.origin } }),
    ]

    for (const { headers } of replies) expect(headers.get('access-control-allow-origin')).not.toBe('*')
    // No script may read a page that people visit.
    expect(corsOf(replies[4]!)).toEqual([])
  })

  it('has no effect through a preflight alone', async () => {
    stack.store.resetRequests()

    for (const { path, method } of routes) await preflight(path, shopPage.origin, method)

    expect(stack.store.requests).toEqual([])
    expect((await person.script(shopPage, '/session')).status).toBe(200)
  })
})

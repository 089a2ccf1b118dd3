/** The functions host over HTTP, compared with the observed behaviour of the real host and Node worker. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import * as z from 'zod/mini'

import { raw, serve } from './fixtures/serve.ts'
import type { Served } from './fixtures/serve.ts'

let host: Served
beforeAll(async () => {
  host = await serve('app', {
    settings: {
      OTEL_TRACES_SAMPLER: 'always_on',
      AzureWebJobsDisableHomepage: 'true',
      'AzureWebJobs.switchedOff.Disabled': 'true',
    },
  })
})
afterAll(() => host.remove())

const get = (path: string, init?: RequestInit) => fetch(host.url + path, { redirect: 'manual', ...init })
const seen = z.object({
  by: z.string(),
  url: z.string(),
  method: z.string(),
  query: z.record(z.string(), z.string()),
  params: z.record(z.string(), z.string()),
  headers: z.record(z.string(), z.string()),
  body: z.string(),
  traceParent: z.string(),
  traceState: z.string(),
  invocationId: z.string(),
})
const parse = (text: string) => z.parse(seen, JSON.parse(text))
const look = async (path: string, init?: RequestInit) => parse(await (await get(path, init)).text())

describe('the limits of the real host', () => {
  it('are a request line of 8 KB, answered 414 above it', async () => {
    const target = (length: number) => `/echo?${'a'.repeat(length - 'GET /echo? HTTP/1.1\r\n'.length)}`

    expect((await raw(host.url, target(8192))).status).toBe(200)
    expect(await raw(host.url, target(8193))).toMatchObject({ status: 414, body: '' })
  })

  it('are 100 headers, answered 431 above it', async () => {
    const headers = (count: number) => Array.from({ length: count }, (_, i) => [`x-${i}`, '1']).flat()

    // Beside Host and Connection.
    expect((await raw(host.url, '/echo', { headers: headers(98) })).status).toBe(200)
    expect(await raw(host.url, '/echo', { headers: headers(99) })).toMatchObject({ status: 431, body: '' })
  })
})

describe('routing', () => {
  it('tries functions in the order of their names, not by how well their routes match', async () => {
    expect(await look('/items/new')).toMatchObject({ by: 'item', params: { id: 'new' } })
  })

  it('leaves an optional parameter out where the path has none', async () => {
    expect((await look('/items/7')).params).toEqual({ id: '7' })
    expect((await look('/items/7/more')).params).toEqual({ id: '7', rest: 'more' })
    expect((await get('/items/7/more/still')).status).toBe(404)
  })

  it.each(['HEAD', 'PUT', 'OPTIONS'])('answers 404 to %s where a function lists other methods', async (method) => {
    expect((await get('/items/7', { method })).status).toBe(404)
    expect((await get('/echo', { method })).status).toBe(200)
  })

  it('routes a request to the function that lists the method', async () => {
    expect(await look('/things')).toMatchObject({ by: 'readThing' })
    expect(await look('/things', { method: 'POST' })).toMatchObject({ by: 'writeThing' })
  })

  it('answers HEAD without a body where a function lists it', async () => {
    const answer = await get('/things', { method: 'HEAD' })

    expect(answer.status).toBe(200)
    expect(answer.headers.get('content-type')).toBe('application/json')
    expect(await answer.text()).toBe('')
  })

  it('matches without regard to case or a trailing slash, and keeps a parameter unchanged', async () => {
    expect(await look('/ITEMS/New/')).toMatchObject({ by: 'item', params: { id: 'New' } })
  })

  it('leaves %2F encoded in parameters and in the URL, and decodes the rest', async () => {
    const answer = await raw(host.url, '/items/a%2Fb%20c%C3%A9/%41')

    expect(parse(answer.body)).toMatchObject({
      url: `http://localhost:${host.port}/items/a%2Fb%20c%C3%A9/A`,
      params: { id: 'a%2Fb cé', rest: 'A' },
    })
  })

  it('answers 400 to a null character in the path, and not in the query', async () => {
    expect((await raw(host.url, '/items/a%00b')).status).toBe(400)
    expect((await raw(host.url, '/items/a?b=%00')).status).toBe(200)
  })

  it('resolves dot segments before it selects a route', async () => {
    expect(parse((await raw(host.url, '/files/../items/./7')).body)).toMatchObject({ by: 'item', params: { id: '7' } })
  })

  it('matches a catch-all, constraints, defaults and literals around a parameter', async () => {
    expect((await look('/files/a/b/c.txt')).params).toEqual({ path: 'a/b/c.txt' })
    expect(await look('/pages/3')).toMatchObject({ by: 'page' })
    expect((await get('/pages/0')).status).toBe(404)
    expect((await get('/pages/three')).status).toBe(404)
    expect((await look('/sizes')).params).toEqual({ size: '10' })
    expect((await look('/.well-known/jwks.json')).params).toEqual({ name: 'jwks' })
  })

  it('serves / by a template that matches no other path, and only /', async () => {
    expect(await look('/')).toMatchObject({ by: 'home', params: {} })
    expect((await get('/x')).status).toBe(404)
  })

  it('uses the name as the route, GET and POST, and anonymous, as the defaults of a function', async () => {
    expect(await look('/byDefaults')).toMatchObject({ by: 'byDefaults' })
    expect(await look('/byDefaults', { method: 'POST' })).toMatchObject({ method: 'POST' })
    expect((await get('/byDefaults', { method: 'PUT' })).status).toBe(404)
  })

  it('refuses routes under admin and runtime when it loads, and keeps the other functions', async () => {
    expect(host.log()).toMatch(/'underAdmin' function is in error: The specified route conflicts/)
    expect(host.log()).toMatch(/'underRuntime' function is in error: The specified route conflicts/)
    expect((await get('/administrators')).status).toBe(404)
    expect((await get('/things')).status).toBe(200)
  })

  it('refuses a second function for the same route and method', () => {
    expect(host.log()).toContain(
      "'sameRoute' function is in error: The route specified conflicts with the route defined",
    )
  })

  it('answers 404 for a function that the settings switch off', async () => {
    expect((await get('/switched-off')).status).toBe(404)
    expect((await get('/switched-off', { headers: { 'x-functions-key': 'the-master-key' } })).status).toBe(200)
  })
})

describe('keys', () => {
  it('answers 401 without a body where a function requires a key and the request has none or a wrong one', async () => {
    for (const headers of [{}, { 'x-functions-key': 'wrong' }] as Record<string, string>[]) {
      const answer = await get('/guarded', { headers })

      expect(answer.status).toBe(401)
      expect(await answer.text()).toBe('')
    }
  })

  it('accepts a function key or the master key, by header or by ?code=', async () => {
    for (const key of ['the-function-key', 'the-master-key']) {
      expect((await get('/guarded', { headers: { 'x-functions-key': key } })).status).toBe(200)
      expect((await get(`/guarded?code=${key}`)).status).toBe(200)
    }
  })

  it('opens a function of level admin with the master key only', async () => {
    expect((await get('/master-only', { headers: { 'x-functions-key': 'the-function-key' } })).status).toBe(401)
    expect((await get('/master-only', { headers: { 'x-functions-key': 'the-master-key' } })).status).toBe(200)
  })

  it('ignores ?code= as a key on an anonymous route, and passes it on', async () => {
    expect((await look('/echo?code=an-authorization-code')).query).toEqual({ code: 'an-authorization-code' })
  })
})

describe('requests', () => {
  it('joins repeated query parameters by a comma; only the URL shows the difference', async () => {
    const { query, url } = await look('/echo?a=1&a=2&A=3&b=x%2By+z')

    expect(query).toEqual({ a: '1,2,3', b: 'x+y z' })
    expect(new URL(url).searchParams.getAll('a')).toEqual(['1', '2'])
  })

  it('joins repeated headers by a comma', async () => {
    const answer = await raw(host.url, '/echo', {
      headers: ['X-One', 'a', 'x-one', 'b', 'cookie', 'c=1', 'cookie', 'd=2'],
    })

    expect(parse(answer.body).headers).toMatchObject({ 'x-one': 'a,b', cookie: 'c=1,d=2' })
  })

  it('reads a body with a length, and reads a chunked one as empty', async () => {
    const headers = ['content-type', 'application/x-www-form-urlencoded']
    const whole = await raw(host.url, '/echo', {
      method: 'POST',
      headers: [...headers, 'content-length', '8'],
      chunks: ['grant=xy'],
    })
    const chunked = await raw(host.url, '/echo', { method: 'POST', headers, chunks: ['grant=', 'xy'] })

    expect(parse(whole.body).body).toBe('grant=xy')
    expect(chunked.status).toBe(200)
    expect(parse(chunked.body).body).toBe('')
  })

  it('drops the body of a GET', async () => {
    const answer = await raw(host.url, '/echo', { headers: ['content-length', '4'], chunks: ['body'] })

    expect(parse(answer.body)).toMatchObject({ method: 'GET', body: '' })
  })

  it('accepts 20 MB and answers 500 to 110 MB', async () => {
    const large = 'x'.repeat(20 * 1024 * 1024)
    expect((await look('/echo', { method: 'POST', body: large })).body.length).toBe(large.length)

    const length = String(110 * 1024 * 1024)
    const tooLarge = new Promise((resolve) => {
      void import('node:http').then(({ default: http }) => {
        const request = http.request(`${host.url}/echo`, { method: 'POST', headers: { 'content-length': length } })
        request.on('error', () => undefined)
        request.on('response', (response) => {
          resolve(response.statusCode)
          request.destroy()
        })
        request.write('x')
      })
    })
    expect(await tooLarge).toBe(500)
  })

  it('keeps X-Forwarded-* out of the URL and in the headers', async () => {
    const headers = { 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'https' }
    const received = await look('/echo', { headers })

    expect(received.url).toBe(`${host.url}/echo`)
    expect(received.headers).toMatchObject(headers)
  })

  it('answers 400 to a header that is not UTF-8, and accepts ASCII', async () => {
    expect((await raw(host.url, '/echo', { headers: ['x-name', '\xe9'] })).status).toBe(400)
    expect((await raw(host.url, '/echo', { headers: ['x-name', 'e'] })).status).toBe(200)
  })

  it('continues a valid traceparent and begins a trace otherwise', async () => {
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
    const going = await look('/echo', { headers: { traceparent, tracestate: 'a=b' } })
    expect(going.traceParent).toMatch(/^00-4bf92f3577b34da6a3ce929d0e0e4736-(?!00f067aa0ba902b7)[0-9a-f]{16}-01$/)
    expect(going.traceState).toBe('a=b')

    const bad = await look('/echo', { headers: { traceparent: traceparent.replace(/4bf9\w+/, '0'.repeat(32)) } })
    const none = await look('/echo')
    for (const { traceParent } of [bad, none]) expect(traceParent).toMatch(/^00-(?!0{32})[0-9a-f]{32}-[0-9a-f]{16}-01$/)
    expect(bad.invocationId).not.toBe(none.invocationId)
  })
})

describe('responses', () => {
  it('writes cookies as ASP.NET Core does, byte for byte', async () => {
    expect((await get('/answers/cookies')).headers.getSetCookie()).toEqual([
      '__Host-session=a%20b%2Bc%2Fd%3D%C3%A9%21%27%28%29%2A; max-age=3600; path=/; secure; samesite=lax; httponly',
      'plain=x; path=/',
      'narrow=y; domain=example.org; path=/narrow; samesite=strict',
      'everywhere=z; expires=Wed, 02 Jan 2030 03:04:05 GMT; path=/; secure; samesite=none',
      'not-ended=; path=/',
      'ended=; max-age=0; path=/',
    ])
  })

  it('sends only the last of two set-cookie headers', async () => {
    expect((await get('/answers/twoCookieHeaders')).headers.getSetCookie()).toEqual(['last=2'])
  })

  it('answers 500 without a body to a header outside ASCII', async () => {
    const answer = await get('/answers/latin')

    expect([answer.status, await answer.text()]).toEqual([500, ''])
    expect(answer.headers.has('x-name')).toBe(false)
  })

  it('answers 500 to a returned string and to a function that throws, and logs the cause', async () => {
    expect((await get('/answers/string')).status).toBe(500)
    expect((await get('/answers/throws')).status).toBe(500)
    await host.logged(/Executed 'Functions.answerthrows' \(Failed\)\nError: the function threw/)
    expect(host.log()).toContain('The HTTP response must be an object')
  })

  it('answers 204 to an undefined result and 200 to an empty object', async () => {
    expect((await get('/answers/nothing')).status).toBe(204)
    expect((await get('/answers/empty')).status).toBe(200)
  })

  it('passes status, headers, text and bytes on', async () => {
    const text = await get('/answers/text')
    expect(await text.text()).toBe('grüße')
    expect(text.headers.get('content-type')).toBe('text/plain;charset=UTF-8')
    const bytes = await get('/answers/bytes')
    expect([...new Uint8Array(await bytes.arrayBuffer())]).toEqual([0, 1, 2, 255])
    const redirect = await get('/answers/seeOther')
    expect([redirect.status, redirect.headers.get('location')]).toEqual([303, '/elsewhere'])
  })

  it.each(['tooLong', 'chunked'])(
    'corrupts an answer with wrong framing headers of the function (%s)',
    async (name) => {
      await expect(raw(host.url, `/answers/${name}`)).rejects.toThrow()
      expect((await raw(host.url, '/answers/rightLength')).body).toBe('short')
    },
  )
})

describe('loading and running', () => {
  it('loads a chunk when a function first imports it', async () => {
    expect(await (await get('/answers/lazy')).text()).toBe('loaded on first use')
  })

  it('refuses a function that registers after start-up', async () => {
    expect((await get('/answers/registersLate')).status).toBe(500)
    await host.logged(/A function can only be registered during app startup/)
    expect((await get('/late')).status).toBe(404)
  })

  it('runs invocation hooks, which may change the answer', async () => {
    expect((await get('/answers/empty')).headers.get('x-hook')).toBe('answerempty')
    expect((await get('/answers/text')).headers.has('x-hook')).toBe(false)
  })

  it('logs with function and invocation, structured arguments kept, and the console too', async () => {
    await get('/answers/logs')
    await host.logged(/by the console/)

    const line = /^\[\S+\] answerlogs [0-9a-f-]{36}: /m.source
    expect(host.log()).toMatch(new RegExp(`${line}hello \\{ who: 'reader', deep: \\{ one: 1 \\} \\}$`, 'm'))
    expect(host.log()).toMatch(new RegExp(`${line}warning: careful$`, 'm'))
    expect(host.log()).not.toContain('not shown by default')
  })
})

describe('functions without an HTTP trigger', () => {
  const admin = (name: string, input?: unknown, key = 'the-master-key') =>
    get(`/admin/functions/${name}`, {
      method: 'POST',
      headers: { 'x-functions-key': key, 'content-type': 'application/json' },
      ...(input === undefined ? {} : { body: JSON.stringify({ input }) }),
    })
  const fired = async () => (await (await get('/fired')).json()) as unknown[]

  it('are listed in the log with the admin route that starts them', () => {
    expect(host.log()).toMatch(
      /certificateEvent, nightly, warmup by itself. To fire a function: POST \/admin\/functions\/NAME/,
    )
  })

  it('include appStart hooks and timers with runOnStartup, which start without a request', async () => {
    expect((await fired()).slice(0, 2)).toEqual(['appStart', 'atStart'])
  })

  it('receive a timer’s object in camelCase and no trigger metadata', async () => {
    expect((await admin('nightly', { isPastDue: true })).status).toBe(202)

    const last = z.parse(z.object({ nightly: z.record(z.string(), z.unknown()) }), (await fired()).at(-1))
    expect(last.nightly).toMatchObject({ isPastDue: true, schedule: { adjustForDST: true } })
    expect(Object.keys(last.nightly['scheduleStatus'] as object)).toEqual(['last', 'next', 'lastUpdated'])
    expect(last).not.toHaveProperty('metadata')
  })

  it('include the warm-up, which the admin route starts', async () => {
    expect((await admin('warmup')).status).toBe(202)
    expect((await fired()).at(-1)).toBe('warmup')
  })

  const event = {
    id: '1',
    topic: '/subscriptions/x',
    subject: 'broker',
    eventType: 'Microsoft.KeyVault.CertificateNearExpiry',
    eventTime: '2030-01-01T00:00:00Z',
    dataVersion: '1',
    metadataVersion: '1',
    data: { Id: 'https://vault', VaultName: 'v', NBF: 1 },
  }

  it('keep the case of Event Grid data in the event, and not in the trigger metadata', async () => {
    for (const input of [event, JSON.stringify(event)]) {
      expect((await admin('certificateEvent', input)).status).toBe(202)

      const last = z.parse(
        z.object({ event: z.unknown(), metadata: z.record(z.string(), z.unknown()) }),
        (await fired()).at(-1),
      )
      expect(last.event).toEqual(event)
      expect(last.metadata['data']).toEqual({ id: 'https://vault', vaultName: 'v', nBF: 1 })
    }
  })

  it('lead to 500 when the function fails, so that the event is delivered again', async () => {
    expect((await admin('certificateEvent', { ...event, subject: 'fail' })).status).toBe(500)
  })

  it('are started by the admin route only with the master key, and only by their own names', async () => {
    const before = (await fired()).length
    expect((await admin('nightly', {}, 'the-function-key')).status).toBe(401)
    expect((await get('/admin/functions/nightly', { method: 'POST' })).status).toBe(401)
    expect((await admin('unknown')).status).toBe(404)
    expect((await admin('echo')).status).toBe(400)
    expect((await fired()).length).toBe(before)
  })

  it('receive deliveries of Event Grid by its webhook, validation first', async () => {
    const deliver = (kind: string, events: unknown, code = 'the-master-key') =>
      get(`/runtime/webhooks/EventGrid?functionName=certificateEvent&code=${code}`, {
        method: 'POST',
        headers: { 'aeg-event-type': kind, 'content-type': 'application/json' },
        body: JSON.stringify(events),
      })

    const validation = await deliver('SubscriptionValidation', [{ ...event, data: { validationCode: '512d38b6' } }])
    expect(await validation.json()).toEqual({ validationResponse: '512d38b6' })
    expect((await deliver('Notification', [event])).status).toBe(202)
    expect((await deliver('Notification', [event, { ...event, subject: 'fail' }])).status).toBe(500)
    expect((await deliver('Notification', [event], 'wrong')).status).toBe(401)
  })
})

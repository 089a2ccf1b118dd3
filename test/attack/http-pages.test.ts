import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { errorCatalogue } from '../../shared/errors/errors.ts'
import type { ErrorCode } from '../../shared/errors/errors.ts'
import { shopPage } from '../setup/person.ts'
import type { Call, Reply } from '../setup/person.ts'
import { expectPage, expectSafeHeaders } from '../setup/refusals.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'

let stack: Stack
beforeAll(async () => {
  stack = await startStack()
})
afterAll(() => stack.close())

interface WayToPage {
  readonly code: ErrorCode
  readonly path: string
  readonly call?: Call
}

/** A request for each page that a link or a form can open. */
const pages: readonly WayToPage[] = (
  [
    ['front_end_unknown', '/login?frontend=nobody'],
    ['front_end_missing', '/login'],
    ['return_url_not_registered', '/login?frontend=shop&return_url=https://evil.example/'],
    ['return_url_invalid', '/login?frontend=shop&return_url=javascript:alert(1)'],
    ['parameter_repeated', '/login?frontend=shop&frontend=shop'],
    ['parameter_invalid', '/login?frontend=shop&unknown=1'],
    ['prompt_not_registered', '/login?frontend=shop&prompt=none'],
    ['scope_not_registered', '/login?frontend=shop&scope=a'],
    ['claims_not_allowed', '/login?frontend=shop&claims={}'],
    ['client_unknown', '/login?client_id=nobody'],
    ['query_too_large', `/login?frontend=shop&login_hint=${'a'.repeat(8_000)}`],
    ['prefetch_refused', '/login?frontend=shop', { headers: { 'sec-purpose': 'prefetch' } }],
    ['method_not_allowed', '/login', { method: 'POST' }],
    ['sign_in_unknown', '/callback?state=a'],
    ['answer_invalid', '/callback?state=a&state=a'],
    ['content_type_unsupported', '/callback', { method: 'POST', body: 'a', headers: { 'content-type': 'text/plain' } }],
    ['sign_out_unknown', '/logout/done?state=a'],
  ] satisfies [ErrorCode, string, Call?][]
).map(([code, path, call]) => ({ code, path, ...(call ? { call } : {}) }))

function lineOf(reference: string): string | undefined {
  return stack
    .log()
    .split('\n')
    .find((line) => line.includes(reference))
}

/** The log entry with the reference, as soon as the process has written it. */
async function logged(reply: Reply): Promise<Record<string, unknown>> {
  const reference = reply.headers.get('broker-reference') ?? 'none'
  await expect.poll(() => lineOf(reference)).toBeDefined()
  const line = lineOf(reference) ?? ''
  return JSON.parse(line.slice(line.indexOf('{'))) as Record<string, unknown>
}

describe('a page', () => {
  it.each(pages)(
    'for $code cannot be framed, sniffed, cached or scripted, and its reference is in the log',
    async ({ code, path, call }) => {
      const reply = await stack.person().open(path, call)

      expectPage(reply, code)
      const { title, responsible } = errorCatalogue[code]
      expect(reply.text).toContain(`<title>${title}</title>`)
      expect(await logged(reply)).toMatchObject({
        event: 'refused',
        reference: reply.headers.get('broker-reference'),
        code,
        responsible,
      })
    },
  )

  it.each(pages)('for $code is problem details for a program, with the same text', async ({ code, path, call }) => {
    const headers = { ...call?.headers, accept: 'application/json' }
    const reply = await stack.person().call(path, { ...call, headers })

    const { status, title, remedy, responsible } = errorCatalogue[code]
    expect(reply.status).toBe(status)
    expect(reply.headers.get('content-type')).toBe('application/problem+json; charset=utf-8')
    expect(reply.json).toMatchObject({
      status,
      title,
      detail: remedy,
      code,
      responsible,
      reference: reply.headers.get('broker-reference'),
    })
    expect(String(reply.json.type)).toContain(code)
    expectSafeHeaders(reply)
    expect(await logged(reply)).toMatchObject({ reference: reply.headers.get('broker-reference'), code })
  })

  it('allows its one style by hash, and nothing else', async () => {
    const { headers, text } = await stack.person().open('/login')
    const policy = (headers.get('content-security-policy') ?? '').split('; ')

    expect(policy.filter((part) => !part.endsWith("'none'"))).toEqual([
      expect.stringMatching(/^style-src 'sha256-[\w+/]{43}='$/),
      'img-src data:',
    ])
    expect(text.match(/<style/g)).toHaveLength(1)
    expect(text).not.toMatch(/ style=|<script|<img|<link [^>]*href="(?!data:,)/)
  })

  it('shows the registered values on the developer’s machine, and is as strict', async () => {
    const home = await stack.person().open('/')

    expect(home.status).toBe(200)
    expectSafeHeaders(home)
    expect(home.text).toContain(`${stack.url}/login?frontend=shop`)
    expect(home.cookies).toEqual([])
  })

  it('does not show the registered values if its address is not on the developer’s machine', async () => {
    const deployed = await startStack({ settings: { Broker__BaseUrl: 'https://login.example.com' } })
    const { url } = deployed.brokers[0]!
    const home = await fetch(url).finally(() => deployed.close())

    expect([home.status, await home.text()]).toEqual([204, ''])
  })
})

describe('a reference', () => {
  it('is the caller’s trace id, if that is valid, so that it matches the front end’s own trace', async () => {
    const trace = '4bf92f3577b34da6a3ce929d0e0e4736'
    const traceparent = `00-${trace}-00f067aa0ba902b7-01`

    const page = await stack.person().open('/login', { headers: { traceparent } })
    const problem = await stack.person().script(shopPage, '/session', { headers: { traceparent } })

    expect(page.headers.get('broker-reference')).toBe(trace)
    expect(page.text).toContain(`Reference: ${trace}`)
    expect(problem.json).toMatchObject({ code: 'signed_out', reference: trace })
  })

  it.each([
    '00-<script>-00f067aa0ba902b7-01',
    '00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01',
    '-',
    'a'.repeat(500),
  ])('is the broker’s own if the caller’s trace id is not valid: %s', async (traceparent) => {
    const page = await stack.person().open('/login', { headers: { traceparent } })

    expect(page.headers.get('broker-reference')).toMatch(/^[0-9a-f]{32}$/)
    expect(page.text).not.toContain('script')
    expect((await logged(page)).reference).toBe(page.headers.get('broker-reference'))
  })

  it('is different for each request', async () => {
    const references = await Promise.all(
      Array.from({ length: 10 }, async () => (await stack.person().open('/login')).headers.get('broker-reference')),
    )

    expect(new Set(references).size).toBe(10)
  })
})

describe('an error answer', () => {
  it('to a script is problem details with a code and a sign-in URL', async () => {
    const reply = await stack.person().script(shopPage, '/session')

    expect(reply.status).toBe(401)
    expect(reply.headers.get('content-type')).toBe('application/problem+json; charset=utf-8')
    expectSafeHeaders(reply)
    expect(reply.json).toMatchObject({ code: 'signed_out', sign_in_url: `${stack.url}/login?frontend=shop` })
    expect(reply.location).toBeNull()
    expect(await logged(reply)).toMatchObject({ code: 'signed_out' })
  })

  it('to an unexpected fault contains no detail of the fault', async () => {
    stack.store.addFault({ table: 'sessions', times: 1, status: 400, body: '{"odata.error":{"code":"evil words"}}' })
    const person = stack.person()
    const begun = await person.begin({ frontend: 'shop' })

    const failed = await person.callback(await person.atProvider(begun.location ?? ''))

    expect(failed.status).toBe(503)
    expect(failed.headers.get('retry-after')).toMatch(/^\d+$/)
    expectSafeHeaders(failed)
    expect(failed.text).not.toMatch(/evil|odata|at .*\.(m?js|ts):\d+/)
    expect(await logged(failed)).toMatchObject({ code: 'store_unavailable', responsible: 'operator' })
    expect((await stack.person().signIn({ frontend: 'shop' })).location).toBe(`${shopPage.origin}/`)
  })
})

/** The frame around every handler, called in process with web-standard requests: no host, no network. */
import { describe, expect, it } from 'vitest'
import type { Broker, Composed } from '../../../functions/compose/index.ts'
import { forClients, forLiveness, forPeople, forProbes, forPrograms, forScripts } from '../../../functions/respond.ts'
import type { Responder } from '../../../functions/respond.ts'
import { BrokerError } from '../../../shared/errors/errors.ts'
import { json, text } from '../../../shared/http/answer.ts'
import { SettingsError } from '../../../shared/settings/settings.ts'
import type { FindPageLinks } from '../../../shared/sign-in/page-links.ts'
import { noTelemetry } from '../../../shared/telemetry/telemetry.ts'
import { registered } from '../front-ends/registered.ts'

const origin = 'https://app.example.com'

// The handlers below use no other part.
const composed: Composed = {
  broker: { frontEnds: registered({ id: 'spa', origins: [origin] }), telemetry: noTelemetry } as unknown as Broker,
}
const refused: Composed = {
  settingsError: new SettingsError([{ setting: 'Broker__BaseUrl', problem: 'is missing', fix: 'Write it.' }]),
}
const reference = '0af7651916cd43dd8448eb211c80319c'

async function call(respond: Responder, init: RequestInit = {}) {
  const lines: string[] = []
  const invocation = {
    reference,
    traceParent: undefined,
    log: (level: string, event: string) => void lines.push(`${level} ${event}`),
  }
  const answer = await respond(new Request('https://broker.example.com/session', init), invocation)
  return { answer, lines }
}
const fine = { GET: () => () => Promise.resolve(json(200, { fine: true })) }
const failing = (error: Error) => ({ GET: () => () => Promise.reject(error) })

describe('a route', () => {
  it('adds the reference and the common headers to the handler’s own', async () => {
    const { answer, lines } = await call(forPrograms(composed, fine))

    expect(answer).toMatchObject({ status: 200, body: '{"fine":true}' })
    expect(answer.headers).toMatchObject({
      'broker-reference': reference,
      'cache-control': 'no-store',
      'content-type': 'application/json; charset=utf-8',
    })
    expect(lines).toEqual([])
  })

  it('answers 405 with Allow for a method without a handler', async () => {
    const { answer } = await call(forPrograms(composed, { ...fine, HEAD: fine.GET }), { method: 'POST' })

    expect(answer.status).toBe(405)
    expect(answer.headers).toMatchObject({ allow: 'GET, HEAD' })
  })

  it.each([
    ['people', forPeople, 'text/html', /<h1>You are not signed in\.<\/h1>/],
    ['programs', forPrograms, 'application/problem+json', /"code":"signed_out"/],
    ['OAuth clients', forClients, 'application/json', /"error":"invalid_grant"/],
  ])('formats an error for %s', async (_, kind, type, body) => {
    const { answer, lines } = await call(kind(composed, failing(new BrokerError('signed_out')), 'login'))

    expect(answer.headers?.['content-type']).toContain(type)
    expect(answer.body).toMatch(body)
    expect(lines).toEqual(['info refused'])
  })

  it('answers people with problem details where they accept no page', async () => {
    const respond = forPeople(composed, failing(new BrokerError('signed_out')), 'login')

    const { answer } = await call(respond, { headers: { accept: 'application/json' } })

    expect(answer.headers?.['content-type']).toContain('application/problem+json')
  })

  it('hides an unknown error from the caller, and logs it as an error', async () => {
    const { answer, lines } = await call(forPrograms(composed, failing(new Error('secret text'))))

    expect(answer.status).toBe(500)
    expect(JSON.stringify(answer)).not.toContain('secret')
    expect(lines).toEqual(['error refused'])
  })

  it('redirects with the cookies of an error that carries a redirect', async () => {
    const cookie = { name: '__Host-signin-1', value: '', sameSite: 'None', maxAge: 0 } as const
    const error = new BrokerError('sign_in_cancelled', {
      cookies: [cookie],
      redirectTo: 'https://app.example.com/callback?error=access_denied',
    })

    const { answer } = await call(forPeople(composed, failing(error), 'login'))

    expect(answer).toMatchObject({ status: 303, cookies: [cookie], headers: { location: error.redirectTo } })
  })
})

describe('a page', () => {
  const link = { text: 'Back to the application', url: 'https://app.example.com/a' }
  const withLinks = (findPageLinks: FindPageLinks): Composed =>
    'broker' in composed ? { broker: { ...composed.broker, findPageLinks } } : composed

  it('has the links of its error, and otherwise those that the request names', async () => {
    const parts = withLinks(({ query, route }) =>
      Promise.resolve([{ ...link, url: `${origin}/${route}?${query.toString()}` }]),
    )

    const own = await call(forPeople(parts, failing(new BrokerError('internal', { links: [link] })), 'callback'))
    const found = await call(forPeople(parts, failing(new BrokerError('internal')), 'callback'))

    expect(own.answer.body).toContain(`href="${link.url}"`)
    expect(found.answer.body).toContain(`href="${origin}/callback?"`)
  })

  it('has a sentence in place of links where none is found, or the settings are refused', async () => {
    const without = withLinks(() => Promise.reject(new Error('none')))

    const unknown = await call(forPeople(without, failing(new BrokerError('front_end_missing')), 'login'))
    const fault = await call(forPeople(refused, fine, 'login'))

    expect([unknown.answer.status, fault.answer.status]).toEqual([400, 503])
    expect(unknown.answer.body).toContain('Go back to the application that you came from, and start again there.')
    expect(fault.answer.body).toContain('Go back to the application that you came from, and try again later.')
  })
})

describe('a route for scripts', () => {
  const post = (headers: Record<string, string>) =>
    call(forScripts(composed, { POST: fine.GET }), { method: 'POST', headers })
  const own = { origin, 'broker-request': '1', 'sec-fetch-site': 'same-site' }

  it('runs the guard before the handler', async () => {
    expect((await post(own)).answer).toMatchObject({ status: 200, headers: { 'access-control-allow-origin': origin } })
    expect((await post({ ...own, 'broker-request': '0' })).answer.status).toBe(403)
    expect((await post({ ...own, origin: 'https://evil.example' })).answer.status).toBe(403)
    expect((await post({ ...own, 'sec-fetch-site': 'cross-site' })).answer.status).toBe(403)
  })

  it('lets a registered origin read an error', async () => {
    const { answer } = await call(forScripts(composed, failing(new BrokerError('signed_out'))), { headers: { origin } })

    expect(answer).toMatchObject({ status: 401, headers: { 'access-control-allow-origin': origin } })
  })
})

describe('refused settings', () => {
  it.each([
    ['people', forPeople],
    ['scripts', forScripts],
    ['OAuth clients', forClients],
    ['programs', forPrograms],
  ])('are a 503 that names the setting at routes for %s', async (_, kind) => {
    const { answer } = await call(kind(refused, fine, 'login'))

    expect(answer.status).toBe(503)
    expect(answer.body).toContain('Broker__BaseUrl')
  })

  it('are one word for probes, and leave liveness alone', async () => {
    expect((await call(forProbes(refused, fine))).answer).toMatchObject({ status: 503, body: 'settings' })
    expect((await call(forLiveness(text(200, 'alive')))).answer).toMatchObject({ status: 200, body: 'alive' })
  })
})

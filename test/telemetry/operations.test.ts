import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import type { TelemetryItem } from '../../local/ingestion/telemetry-item.ts'
import { runFunction } from '../setup/admin-functions.ts'
import { app, refresh, signInByCode } from '../setup/client.ts'
import { shopPage } from '../setup/person.ts'
import type { Person, Reply } from '../setup/person.ts'
import { desk, shop, startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { firstRowsWritten } from '../setup/warm-up.ts'

const query = { frontend: 'shop', return_url: 'http://localhost:3000/a' }

/** The expected content of one operation, calls in the order of their names. */
interface Expected {
  readonly events: readonly string[]
  readonly calls: readonly string[]
}
const start: Expected = { events: ['broker.started'], calls: [] }
const finish: Expected = {
  events: ['broker.redeemed', 'broker.returned', 'broker.session'],
  calls: ['POST token', 'insert sessions', 'insert states'],
}

describe('a fresh instance', () => {
  let stack: Stack
  let items: readonly TelemetryItem[]
  /** The requests to the broker, by the reference in its answer. */
  const requested: { readonly what: string; readonly reference: string }[] = []
  /**
   * The calls that the emulators saw from here on. An earlier call may have been two,
   * the first of which created its table.
   */
  let began: number
  let since: number
  let seen: { readonly table: number; readonly provider: number; readonly vault: number }

  const note = (what: string, { headers }: Pick<Reply, 'headers'>) =>
    requested.push({ what, reference: headers.get('broker-reference')! })

  const signIn = async (person: Person, what: string) => {
    const begun = await person.begin(query)
    note(`${what} start`, begun)
    note(`${what} finish`, await person.callback(await person.atProvider(begun.location!)))
  }

  beforeAll(async () => {
    stack = await startStack({ telemetry: true, frontEnds: [shop, desk, app] })
    const [first, second] = [stack.person(), stack.person()]
    // The first invocation starts the warm-up, which is done once the broker is ready.
    await first.call('/health')
    await vi.waitFor(async () => expect((await first.call('/health/ready')).text).toBe('ready'), 60_000)
    // Later calls of the warm-up would count among those of the steps.
    await firstRowsWritten(stack)
    began = Date.now()
    await signIn(first, 'first')
    const client = await signInByCode(stack.person(), stack.url)
    since = Date.now()
    for (const part of [stack.store, stack.identityProvider, stack.vault]) part.resetRequests()

    await signIn(second, 'second')
    for (let i = 0; i < 3; i++) note('read', await first.script(shopPage, '/session'))
    note('read', await stack.person().script(shopPage, '/session'))
    note('token', await first.sessionToken(shopPage, { api: 'orders' }))
    note('renewal', await first.sessionToken(shopPage, { api: 'orders', scope: 'api://demo/orders.read' }))
    note('sign-out', await first.script(shopPage, '/logout', { method: 'POST', body: '{}' }))
    note('no session', await first.sessionToken(shopPage, { api: 'orders' }))
    const refused = await second.callback({ fields: { state: 'made-up.shop', code: 'x' }, mode: 'form_post' })
    note('refused', refused)

    await refresh(stack.url, client.refreshToken)

    await runFunction(stack.brokers[0]!, 'rollCertificate')
    seen = {
      table: stack.store.requests.length,
      provider: stack.identityProvider.requests.filter(({ endpoint }) => serverCalls.has(endpoint)).length,
      vault: stack.vault.requests.filter(({ identity }) => identity !== undefined).length,
    }
    // The exporter is loaded by then: on a busy machine that takes longer than an instance has at its end.
    const tokens = () => stack.ingestion.received().filter(({ name }) => name === 'broker.token').length
    await vi.waitUntil(() => tokens() >= 5, 60_000)
    // SIGINT, on which the instance sends what it still holds.
    await stack.brokers[0]!.close()
    items = stack.ingestion.received()
  })
  afterAll(() => stack.close())

  const of = (what: string) => requested.filter((one) => one.what === what).map(({ reference }) => operation(reference))
  const operation = (id: string) => items.filter(({ operationId }) => operationId === id)
  const named = (found: readonly TelemetryItem[], type: string) =>
    found
      .filter((item) => item.type === type)
      .map(callName)
      .sort()

  it.each([
    ['first start', start],
    ['first finish', finish],
    ['second start', start],
    ['second finish', finish],
    ['token', { events: ['broker.token'], calls: ['find sessions'] }],
    [
      'renewal',
      {
        events: ['broker.renewal', 'broker.token'],
        calls: ['POST token', 'find sessions', 'replace sessions', 'replace sessions'],
      },
    ],
    ['sign-out', { events: ['broker.sign_out'], calls: ['find sessions', 'list codes', 'remove sessions'] }],
  ] as const)('reports each event and each call of a %s once, in the operation of the host', (what, expected) => {
    const [found] = of(what)
    expect(named(found!, 'event')).toEqual(expected.events)
    expect(named(found!, 'span')).toEqual(expected.calls)
  })

  it('puts all of an operation under the one request of the host, and none of it under another', () => {
    const parents = new Map<string, Set<string>>()
    for (const { operationId, parentId, kind } of items) {
      if (operationId === undefined || kind === 'request') continue
      parents.set(operationId, (parents.get(operationId) ?? new Set()).add(parentId ?? 'none'))
    }
    expect(parents.size).toBeGreaterThan(8)
    const all = [...parents.values()].flatMap((of) => [...of])
    expect(all).not.toContain('none')
    expect(all).toHaveLength(parents.size)
    expect(new Set(all).size).toBe(parents.size)
  })

  it('reports no item twice', () => {
    const ids = items.filter(({ type }) => type === 'span').map(({ id }) => id)
    expect(new Set(ids).size).toBe(ids.length)
    const events = items.filter(({ type }) => type === 'event').map(({ raw }) => JSON.stringify(raw))
    expect(new Set(events).size).toBe(events.length)
  })

  it('keeps the calls and events from before the exporter was loaded, with their own times', () => {
    const [found] = of('first finish')
    const times = found!.map(({ time }) => Date.parse(time))
    // Within the time of the sign-in, although the exporter was loaded seconds later.
    expect(Math.min(...times)).toBeGreaterThanOrEqual(began)
    expect(Math.max(...times)).toBeLessThanOrEqual(since)
    expect(found!.every(({ type, duration }) => type !== 'span' || duration! > 0)).toBe(true)
  })

  it('reports the requests of its warm-up, before the first caller, as a separate operation', () => {
    const [own] = items.filter(({ name }) => name === 'start of an instance')
    const calls = items.filter(({ parentId }) => parentId === own!.id).map(callName)
    expect(calls).toEqual(expect.arrayContaining(['sign', 'wrap', 'GET openid-configuration', 'GET keys']))
  })

  it('marks the first of each step as cold and the next as warm, and names the front end', () => {
    const finished = ['first finish', 'second finish'].map((what) =>
      of(what)[0]!
        .filter(({ type }) => type === 'event')
        .map(({ properties }) => properties),
    )
    expect(finished[0]!.map(({ instance }) => instance)).toEqual(['cold', 'cold', 'cold'])
    expect(finished[1]!.map(({ instance }) => instance)).toEqual(['warm', 'warm', 'warm'])
    for (const one of finished.flat()) expect(one).toMatchObject({ front_end: 'shop', outcome: 'succeeded' })
  })

  it('reports the party responsible for a failure and its code', () => {
    expect(of('no session')[0]!.filter(({ type }) => type === 'event')).toMatchObject([
      { name: 'broker.token', properties: { outcome: 'failed', code: 'signed_out', responsible: 'person' } },
    ])
    expect(of('refused')[0]!.filter(({ type }) => type === 'event')).toMatchObject([
      { name: 'broker.returned', properties: { outcome: 'failed', code: 'sign_in_unknown', front_end: 'shop' } },
    ])
  })

  it('counts reads of sessions, and reports nothing else about them', () => {
    expect(of('read').flat()).toEqual([])
    expect(sums('broker.session.reads', ({ outcome }) => outcome!)).toEqual({ signed_in: 3, signed_out: 1 })
  })

  it('counts each step as often as it reports its event', () => {
    const events: Record<string, number> = {}
    for (const { type, properties } of items) {
      if (type !== 'event') continue
      const key = `${properties.step} ${properties.outcome}`
      events[key] = (events[key] ?? 0) + 1
    }
    expect(sums('broker.steps', ({ step, outcome }) => `${step} ${outcome}`)).toEqual(events)
    expect(events).toMatchObject({
      'started succeeded': 3,
      'redeemed succeeded': 3,
      'session succeeded': 3,
      'token succeeded': 4,
      'token failed': 1,
    })
  })

  it('reports as many calls as were made, except those of mere reads', () => {
    const reported = items.filter(({ kind, time }) => kind === 'dependency' && Date.parse(time) >= since)
    const to = (host: string) => reported.filter(({ target }) => target === host).length
    expect(to(new URL(stack.store.url).host)).toBe(seen.table - 3)
    expect(to(new URL(stack.cloud.settings.AzureAd__Instance!).host)).toBe(seen.provider)
    expect(to(new URL(stack.vault.url).host)).toBe(seen.vault)
  })

  it('counts the calls to the vault as often as it reports them', () => {
    const reported: Record<string, number> = {}
    for (const { target, name } of items) {
      if (target === new URL(stack.vault.url).host) reported[name] = (reported[name] ?? 0) + 1
    }
    expect(sums('broker.vault.calls', ({ operation }) => operation!)).toEqual(reported)
    expect(reported.wrap).toBe(1)
    expect(reported.sign).toBeGreaterThan(0)
  })

  it('reports the remaining days of the certificate and the age of the assertion', () => {
    const latest = (name: string) => items.filter((item) => item.name === name).at(-1)?.value
    expect(latest('broker.certificate.days_left')).toBeGreaterThan(300)
    expect(latest('broker.assertion.age_seconds')).toBeGreaterThanOrEqual(0)
  })

  it('sends nothing else: no request that another part measured, no log line, no report to another host', () => {
    const kinds = new Set(items.map(({ type, kind }) => kind ?? type))
    expect([...kinds].sort()).toEqual(['dependency', 'event', 'metric', 'request'])
    expect(items.filter(({ kind }) => kind === 'request').map(({ name }) => name)).toEqual(['start of an instance'])
    expect(new Set(stack.ingestion.requests.map(({ path }) => path))).toEqual(new Set(['/v2.1/track']))
    expect(new Set(items.map(({ role }) => role))).toEqual(new Set(['certificate-token-broker']))
    expect(JSON.stringify(items)).not.toMatch(/[?&](code|state|sid)=/)
  })

  function sums(name: string, by: (properties: Readonly<Record<string, string>>) => string): Record<string, number> {
    const totals: Record<string, number> = {}
    for (const item of items) {
      if (item.name !== name) continue
      const key = by(item.properties)
      totals[key] = (totals[key] ?? 0) + item.value!
    }
    return totals
  }
})

/** The broker's requests to the provider; all others come from the person's browser. */
const serverCalls = new Set(['token', 'discovery', 'keys'])

/** The last part of a path identifies a call. */
function callName({ name, type }: TelemetryItem): string {
  return type === 'span' ? name.replace(/^(GET|POST) .*\//, '$1 ') : name
}

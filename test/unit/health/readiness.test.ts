import { beforeEach, describe, expect, it, vi } from 'vitest'
import { rollTimingOf } from '../../../shared/certificate/roll-timing.ts'
import { BrokerError } from '../../../shared/errors/errors.ts'
import type { ErrorCode } from '../../../shared/errors/catalogue.ts'
import { createReadiness, findUnready } from '../../../shared/health/readiness.ts'
import type { ReadinessOptions } from '../../../shared/health/readiness.ts'
import { createClock } from '../session/parts.ts'

type Part = 'key ring' | 'store' | 'provider' | 'certificate'
const parts: readonly Part[] = ['key ring', 'store', 'provider', 'certificate']

describe('readiness', () => {
  let requested: Part[]
  let broken: Map<Part, unknown>
  let clock: ReturnType<typeof createClock>
  beforeEach(() => {
    requested = []
    broken = new Map()
    clock = createClock('2031-05-10T12:00:00Z')
  })

  /** Each part reports its state; the tests of each part cover the causes of its failures. */
  const open = (more: Partial<ReadinessOptions> = {}) => {
    const ask = async (part: Part): Promise<unknown> => {
      requested.push(part)
      await Promise.resolve()
      if (broken.has(part)) throw broken.get(part)
      return undefined
    }
    return createReadiness({
      ring: { check: () => ask('key ring') },
      store: { find: () => ask('store') },
      provider: { metadata: () => ask('provider') },
      assertions: { get: () => ask('certificate') },
      versions: { known: () => undefined, record: () => undefined, isRefused: () => false },
      timing: rollTimingOf({ readSeconds: 3600, overlapSeconds: 86_400 }),
      clock,
      ...more,
    } as unknown as ReadinessOptions)
  }

  it('checks each part once and reports that all are healthy', async () => {
    const checks = await open().checks()

    expect(checks).toEqual(parts.map((part) => expect.objectContaining({ part, ok: true }) as unknown))
    expect(requested.sort()).toEqual([...parts].sort())
  })

  it.each<[Part, ErrorCode]>([
    ['key ring', 'key_ring_unreadable'],
    ['store', 'store_unavailable'],
    ['provider', 'provider_unavailable'],
    ['certificate', 'certificate_expired'],
  ])('names the %s with its code and the remedy, and checks the others too', async (part, code) => {
    broken.set(part, new BrokerError(code, { detail: 'for the log', cause: new Error('the-secret') }))

    const checks = await open().checks()

    expect(checks.filter(({ ok }) => !ok)).toEqual([{ part, ok: false, code, remedy: expect.any(String) as string }])
    expect(JSON.stringify(checks)).not.toMatch(/the-secret|for the log/)
    expect(requested).toHaveLength(4)
  })

  it('never throws, with any error of a part', async () => {
    broken.set('store', new TypeError('the-secret')).set('provider', 'a text').set('key ring', undefined)

    const checks = await open().checks()

    expect(checks.filter(({ ok }) => !ok).map(({ code }) => code)).toEqual(['internal', 'internal', 'internal'])
    expect(JSON.stringify(checks)).not.toContain('the-secret')
  })

  it('names the credential that replaces the certificate in the answer of its own check alone', async () => {
    const [first, second] = [Promise.withResolvers<undefined>(), Promise.withResolvers<undefined>()]
    const readiness = open({
      assertions: {
        get: vi.fn().mockRejectedValueOnce(new BrokerError('certificate_expired')).mockReturnValue(second.promise),
      },
      checkSecond: () => first.promise,
    } as unknown as Partial<ReadinessOptions>)
    const [failed, later] = [readiness.checks(), readiness.checksNow()]

    first.resolve(undefined)
    const certificateOf = (checks: readonly { readonly part: string }[]) =>
      checks.find(({ part }) => part === 'certificate')
    expect(certificateOf(await failed)).toMatchObject({ ok: true, credential: 'managed identity' })
    second.resolve(undefined)
    expect(certificateOf(await later)).toEqual({ part: 'certificate', ok: true })
  })

  it('checks once for all callers at the same time, and again only after five seconds', async () => {
    const readiness = open()

    await Promise.all(Array.from({ length: 50 }, () => readiness.checks()))
    clock.advance(4.9)
    await readiness.checks()
    expect(requested).toHaveLength(4)

    clock.advance(0.2)
    await readiness.checks()
    expect(requested).toHaveLength(8)
  })

  it('returns the current state to a caller with a key, and from then on to every other caller', async () => {
    const readiness = open()
    await readiness.checks()
    broken.set('store', new BrokerError('store_unavailable'))

    const now = await Promise.all([readiness.checksNow(), readiness.checksNow()])

    for (const checks of now) expect(checks.find(({ part }) => part === 'store')?.ok).toBe(false)
    expect(await readiness.checks()).toBe(now[0])
    expect(requested).toHaveLength(8)
  })

  it('checks again after a clock that jumped back', async () => {
    const readiness = open()
    await readiness.checks()

    clock.advance(-3600)
    await readiness.checks()

    expect(requested).toHaveLength(8)
  })

  it('reports within five seconds that a part has failed, and that it has recovered', async () => {
    const readiness = open()
    const isWell = async () => (await readiness.checks()).every(({ ok }) => ok)
    expect(await isWell()).toBe(true)

    broken.set('store', new BrokerError('store_unavailable'))
    clock.advance(5)
    expect(await isWell()).toBe(false)

    broken.clear()
    clock.advance(5)
    expect(await isWell()).toBe(true)
  })

  describe('of several providers', () => {
    const brokenAt = new Map<string, 'provider' | 'certificate'>()
    const askedAt: string[] = []
    beforeEach(() => {
      brokenAt.clear()
      askedAt.length = 0
    })
    const answerOf = (id: string, part: 'provider' | 'certificate') => async () => {
      askedAt.push(`${part} ${id}`)
      await Promise.resolve()
      if (brokenAt.get(id) === part) throw new BrokerError('provider_unavailable')
      return undefined
    }
    const partsOf = (id: string) => ({
      id,
      provider: { metadata: answerOf(id, 'provider') },
      assertions: { get: answerOf(id, 'certificate') },
      versions: { known: () => undefined, record: () => undefined, isRefused: () => false },
      timing: rollTimingOf({ readSeconds: 3600, overlapSeconds: 86_400 }),
      clock,
    })
    const openSeveral = (storeFails = false) =>
      createReadiness({
        ring: { check: () => Promise.resolve() },
        store: { find: () => (storeFails ? Promise.reject(new BrokerError('store_unavailable')) : Promise.resolve()) },
        ...partsOf('primary'),
        others: [partsOf('partner'), partsOf('guests')],
      } as unknown as ReadinessOptions)

    it('calls none but the primary one while that is usable', async () => {
      expect(findUnready(await openSeveral().checks())).toBeUndefined()
      expect(askedAt).toEqual(['provider primary', 'certificate primary'])
    })

    it.each(['provider', 'certificate'] as const)('is ready while one is usable (%s)', async (part) => {
      brokenAt.set('primary', part).set('partner', part)
      expect(findUnready(await openSeveral().checks())).toBeUndefined()

      brokenAt.set('guests', part)
      expect(findUnready(await openSeveral().checks())).toBe(part)
    })

    it('is not ready without the store, and calls no further provider then', async () => {
      brokenAt.set('primary', 'provider')

      expect(findUnready(await openSeveral(true).checks())).toBe('store')
      expect(askedAt).toEqual(['provider primary', 'certificate primary'])
    })

    it('shows an operator each of them', async () => {
      brokenAt.set('partner', 'provider')

      const checks = await openSeveral().checksNow()

      expect(checks.filter(({ ok }) => !ok)).toMatchObject([{ part: 'provider', provider: 'partner' }])
      expect(checks.map(({ part, provider }) => `${part} ${provider ?? ''}`.trim())).toEqual([
        'key ring',
        'store',
        'provider',
        'certificate',
        'provider partner',
        'certificate partner',
        'provider guests',
        'certificate guests',
      ])
    })
  })
})

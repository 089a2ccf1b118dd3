import { beforeEach, describe, expect, it } from 'vitest'
import { paceOf } from '../../../shared/certificate/roll-timing.ts'
import { BrokerError } from '../../../shared/errors/errors.ts'
import type { ErrorCode } from '../../../shared/errors/errors.ts'
import { createReadiness } from '../../../shared/health/readiness.ts'
import type { ReadinessOptions } from '../../../shared/health/readiness.ts'
import { createClock } from '../session/parts.ts'

type Part = 'key ring' | 'store' | 'provider' | 'certificate'
const parts: readonly Part[] = ['key ring', 'store', 'provider', 'certificate']

describe('readiness', () => {
  let asked: Part[]
  let broken: Map<Part, unknown>
  let clock: ReturnType<typeof createClock>
  beforeEach(() => {
    asked = []
    broken = new Map()
    clock = createClock('2031-05-10T12:00:00Z')
  })

  /** Each part says whether it is well; what makes them ill is told in their own tests. */
  const open = () => {
    const ask = async (part: Part): Promise<unknown> => {
      asked.push(part)
      await Promise.resolve()
      if (broken.has(part)) throw broken.get(part)
      return undefined
    }
    return createReadiness({
      ring: { current: () => ask('key ring') },
      store: { find: () => ask('store') },
      provider: { metadata: () => ask('provider') },
      assertions: { get: () => ask('certificate') },
      versions: { known: () => undefined, record: () => undefined, isRefused: () => false },
      pace: paceOf({ readSeconds: 3600, overlapSeconds: 86_400 }),
      clock,
    } as unknown as ReadinessOptions)
  }

  it('looks at each part once and says that all are well', async () => {
    const checks = await open().checks()

    expect(checks).toEqual(parts.map((part) => expect.objectContaining({ part, ok: true }) as unknown))
    expect(asked.sort()).toEqual([...parts].sort())
  })

  it.each<[Part, ErrorCode]>([
    ['key ring', 'key_ring_unreadable'],
    ['store', 'store_unavailable'],
    ['provider', 'provider_unavailable'],
    ['certificate', 'certificate_expired'],
  ])('names the %s with its code and what to do, and looks at the others all the same', async (part, code) => {
    broken.set(part, new BrokerError(code, { detail: 'for the log', cause: new Error('the-secret') }))

    const checks = await open().checks()

    expect(checks.filter(({ ok }) => !ok)).toEqual([{ part, ok: false, code, remedy: expect.any(String) as string }])
    expect(JSON.stringify(checks)).not.toMatch(/the-secret|for the log/)
    expect(asked).toHaveLength(4)
  })

  it('never throws, whatever a part throws', async () => {
    broken.set('store', new TypeError('the-secret')).set('provider', 'a text').set('key ring', undefined)

    const checks = await open().checks()

    expect(checks.filter(({ ok }) => !ok).map(({ code }) => code)).toEqual(['internal', 'internal', 'internal'])
    expect(JSON.stringify(checks)).not.toContain('the-secret')
  })

  it('asks once for all who ask at once, and again only after five seconds', async () => {
    const readiness = open()

    await Promise.all(Array.from({ length: 50 }, () => readiness.checks()))
    clock.advance(4.9)
    await readiness.checks()
    expect(asked).toHaveLength(4)

    clock.advance(0.2)
    await readiness.checks()
    expect(asked).toHaveLength(8)
  })

  it('tells those who hold a key what is so now, and everybody else from then on', async () => {
    const readiness = open()
    await readiness.checks()
    broken.set('store', new BrokerError('store_unavailable'))

    const now = await Promise.all([readiness.checksNow(), readiness.checksNow()])

    for (const checks of now) expect(checks.find(({ part }) => part === 'store')?.ok).toBe(false)
    expect(await readiness.checks()).toBe(now[0])
    expect(asked).toHaveLength(8)
  })

  it('asks again after a clock that jumped back', async () => {
    const readiness = open()
    await readiness.checks()

    clock.advance(-3600)
    await readiness.checks()

    expect(asked).toHaveLength(8)
  })

  it('sees within five seconds that a part is ill, and that it is well again', async () => {
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
})

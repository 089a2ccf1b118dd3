import { createHash, randomBytes } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { BrokerError } from '../../../shared/errors/errors.ts'
import { createCodes } from '../../../shared/oauth/authorization-codes.ts'
import type { Codes } from '../../../shared/oauth/authorization-codes.ts'
import type { RowKey, Store } from '../../../shared/store/store.ts'
import { createClock, openRing, somebody, startSessionParts } from '../session/parts.ts'
import type { SessionParts } from '../session/parts.ts'

const start = '2031-05-10T12:00:00.000Z'
const codeVerifier = randomBytes(32).toString('base64url')
const grant = {
  clientId: 'app',
  redirectUri: 'https://app.example.net/callback',
  codeChallenge: createHash('sha256').update(codeVerifier).digest('base64url'),
  scopes: ['api://demo/orders.read'],
  identity: somebody,
  tokens: { refreshToken: 'refresh-of-ada', accessTokens: {} },
  place: { partition: 'partition', row: 'row' },
}

describe('a one-time code', () => {
  let parts: SessionParts
  let store: Store
  let clock: ReturnType<typeof createClock>
  let codes: Codes
  let ended: RowKey[]

  beforeAll(async () => {
    parts = await startSessionParts()
  })
  beforeEach(async () => {
    store = (await parts.newTables()).connect()
    clock = createClock(start)
    ended = []
    codes = createCodes({
      store,
      ring: openRing({ store, wrapper: parts.newWrapper(), clock }),
      clock,
      endForReuse: ({ place }) => {
        ended.push(place)
        return Promise.resolve()
      },
    })
  })
  afterAll(() => parts.close())

  const take = (code: string) =>
    codes.take({ code, clientId: grant.clientId, redirectUri: grant.redirectUri, codeVerifier })
  const outcome = (code: string) =>
    take(code).then(
      () => 'taken',
      (error: unknown) => (error as BrokerError).code,
    )

  it('is good for a minute', async () => {
    const [code, late] = [await codes.issue(grant), await codes.issue(grant)]

    clock.advance(59.999)
    expect(await outcome(code)).toBe('taken')
    clock.advance(0.001)
    expect(await outcome(late)).toBe('grant_invalid')
    expect(ended).toEqual([])
  })

  it('that comes a second time ends what the first one gave, also when its minute is over', async () => {
    const code = await codes.issue(grant)
    const first = await take(code)
    expect(first.grant.tokens).toEqual(grant.tokens)
    expect(await first.wasReused()).toBe(false)

    clock.advance(600)

    expect(await outcome(code)).toBe('grant_invalid')
    expect(ended).toEqual([grant.place])
    expect(await first.wasReused()).toBe(true)
  })

  it('is looked up by its hash, in a row that says nothing of the person or the code', async () => {
    const code = await codes.issue(grant)

    const hash = createHash('sha256').update(code).digest('base64url')
    const row = await store.find('codes', { partition: hash.slice(0, 2), row: hash })

    const values = Object.values(row!.values).map((value) => Buffer.from(value as Uint8Array).toString('latin1'))
    for (const text of ['ada', 'Ada', 'refresh-of', code, grant.redirectUri]) {
      for (const value of values) expect(value).not.toContain(text)
    }
    expect(await outcome(code)).toBe('taken')
  })

  it('opens no row but its own', async () => {
    const [mine, other] = [await codes.issue(grant), await codes.issue({ ...grant, clientId: 'other' })]
    const placeOf = (code: string) => {
      const row = createHash('sha256').update(code).digest('base64url')
      return { partition: row.slice(0, 2), row }
    }
    const [own, foreign] = await Promise.all([mine, other].map((code) => store.find('codes', placeOf(code))))

    await store.replace('codes', { ...foreign!, values: own!.values }, foreign!.etag)

    expect(await outcome(other)).toBe('grant_invalid')
    expect(await outcome(mine)).toBe('taken')
  })
})

import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { KeyRing } from '../../../shared/crypto/key-ring.ts'
import { toRingKey } from '../../../shared/crypto/ring-key.ts'
import type { FrontEnd } from '../../../shared/front-ends/front-ends.ts'
import type { Hints } from '../../../shared/front-ends/login-parameters.ts'
import { applySsoPolicy, endOldestMarks, findMark, ssoCookie } from '../../../shared/sign-in/sso-cookie.ts'

const key = toRingKey('2026-11', randomBytes(32))
const ring: KeyRing = {
  current: () => Promise.resolve(key),
  check: () => Promise.resolve(),
  find: (id) => Promise.resolve(id === key.id ? key : undefined),
  keys: () => Promise.resolve({ keys: [key], fault: undefined }),
}
const now = Date.parse('2026-11-20T12:00:00Z')

describe('a single sign-on mark', () => {
  it.each([
    ['of 512 bytes', 'h'.repeat(512), true],
    ['of 513 bytes', 'h'.repeat(513), false],
    ['of 1,024 characters in three bytes each', '東'.repeat(1024), false],
  ])('leaves a place for seven others in the Cookie header, with a login hint %s', async (_, loginHint, isKept) => {
    const cookie = await ssoCookie('shop', { loginHint, until: now + 1000, provider: 'p'.repeat(32) }, ring)

    expect(cookie.name.length + cookie.value.length).toBeLessThan(900)
    const cookies = new Map([[cookie.name, cookie.value]])
    const shop = { id: 'shop', singleSignOn: false } as FrontEnd
    const hints = { prompts: ['none'], loginHint: undefined } as Partial<Hints> as Hints
    const applied = await applySsoPolicy(hints, shop, 'p'.repeat(32), { cookies, ring, now })
    expect(applied).toEqual({ ...hints, loginHint: isKept ? loginHint : undefined })
  })

  it.each([
    ['the mark of the client itself', 'shop', true],
    ['the newest mark of another client, with single sign-on', 'desk', true],
    ['no mark of another client, without single sign-on', 'desk', false],
  ])('chooses a provider that the client accepts still: by %s', async (_, markedBy, singleSignOn) => {
    const marked = await ssoCookie(markedBy, { loginHint: 'ada', until: now + 1000, provider: 'partner' }, ring)
    const cookies = new Map([[marked.name, marked.value]])
    const shop = { id: 'shop', singleSignOn } as FrontEnd
    const find = (accepted: readonly (string | undefined)[]) =>
      findMark(shop, (provider) => accepted.includes(provider), { cookies, ring, now })

    const isFound = markedBy === 'shop' || singleSignOn
    expect((await find([undefined, 'partner']))?.provider).toBe(isFound ? 'partner' : undefined)
    expect(await find([undefined])).toBeUndefined()
  })

  it.each([
    [5, []],
    [8, []],
    [10, ['__Host-known-app1', '__Host-known-app0']],
  ])('of %i clients in one browser ends the marks over the limit of eight, the oldest first', async (count, ended) => {
    const marked = await Promise.all(
      // The marks of app1 and app0 end first.
      Array.from({ length: count }, (_, n) =>
        ssoCookie(
          `app${n}`,
          { loginHint: 'ada', until: now + (n < 2 ? 1000 - n : 5000 - n), provider: undefined },
          ring,
        ),
      ),
    )
    const cookies = new Map(marked.map(({ name, value }) => [name, value]))

    const over = await endOldestMarks({ cookies, ring, now })

    expect(over.map(({ name }) => name)).toEqual(ended)
    for (const { value, maxAge } of over) expect([value, maxAge]).toEqual(['', 0])
  })
})

import { describe, expect, it } from 'vitest'
import type { Hints } from '../../../shared/front-ends/login-parameters.ts'
import type { IdentityProvider } from '../../../shared/provider/provider.ts'
import { choicesOf, chooseProvider } from '../../../shared/sign-in/provider-choice.ts'

const named = (id: string, domains: readonly string[] = []) =>
  ({ id, domains, displayName: `People of ${id}` }) as unknown as IdentityProvider
const [staff, partner, guests] = [
  named('staff', ['contoso.com']),
  named('partner', ['partner.example', 'sub.partner.example', 'xn--bcher-kva.example']),
  named('guests'),
]
const all = [staff, partner, guests]

const choose = async (
  more: {
    wanted?: string
    hints?: Partial<Hints>
    providers?: readonly IdentityProvider[]
    marked?: string
  } = {},
) =>
  (
    await chooseProvider({
      wanted: more.wanted,
      hints: { extraScopes: [], prompts: [], ...more.hints } as unknown as Hints,
      providers: more.providers ?? all,
      marked: () => Promise.resolve(more.marked),
    })
  )?.id

describe('the provider of a sign-in', () => {
  it('is the only one of the front end, with any hint', async () => {
    expect(await choose({ providers: [partner], hints: { loginHint: 'ada@contoso.com' } })).toBe('partner')
  })

  it('is the one that the request names, where the front end accepts it', async () => {
    expect(await choose({ wanted: 'guests', hints: { domainHint: 'contoso.com' }, marked: 'staff' })).toBe('guests')
    for (const wanted of ['', 'other', 'Guests', 'staff ']) {
      await expect(choose({ wanted }), wanted).rejects.toMatchObject({ code: 'provider_not_accepted' })
    }
    await expect(choose({ wanted: 'staff', providers: [partner] })).rejects.toMatchObject({
      code: 'provider_not_accepted',
    })
    expect(await choose({ wanted: 'partner', providers: [partner] })).toBe('partner')
  })

  it('is the one of the domain, of the hint for it before that of the user name', async () => {
    expect(await choose({ hints: { loginHint: 'ada@contoso.com' } })).toBe('staff')
    expect(await choose({ hints: { loginHint: 'ada@SUB.partner.example' } })).toBe('partner')
    expect(await choose({ hints: { domainHint: 'Partner.Example' } })).toBe('partner')
    expect(await choose({ hints: { loginHint: 'ada@BÜCHER.example' } })).toBe('partner')
    expect(await choose({ hints: { loginHint: 'ada@xn--bcher-kva.example' } })).toBe('partner')
    expect(await choose({ hints: { domainHint: 'partner.example', loginHint: 'ada@contoso.com' } })).toBe('partner')
    expect(await choose({ hints: { domainHint: 'elsewhere.example', loginHint: 'ada@contoso.com' } })).toBe('staff')
  })

  it('is not guessed from a part of a domain, or from a domain before the last @', async () => {
    for (const loginHint of [
      'ada@evil-contoso.com',
      'ada@contoso.com.evil.example',
      'ada@sub.contoso.com',
      'contoso.com',
      'ada@contoso.com@evil.example',
      'ada@evil.example@contoso.com',
      'ada@contoso.com/evil.example',
      'ada@contoso.com ',
    ]) {
      expect(await choose({ hints: { loginHint } }), loginHint).toBeUndefined()
    }
  })

  it('of a domain is none that the front end does not accept', async () => {
    expect(await choose({ providers: [partner, guests], hints: { loginHint: 'ada@contoso.com' } })).toBeUndefined()
  })

  it('is the one of the browser’s mark, unless the person wants to select an account', async () => {
    expect(await choose({ marked: 'guests' })).toBe('guests')
    expect(await choose({ marked: 'guests', hints: { prompts: ['login'] } })).toBe('guests')
    expect(await choose({ marked: 'guests', hints: { prompts: ['none'] } })).toBe('guests')
    expect(await choose({ marked: 'guests', hints: { prompts: ['login', 'select_account'] } })).toBeUndefined()
    expect(await choose({ marked: 'guests', providers: [staff, partner] })).toBeUndefined()
    expect(await choose({ marked: 'guests', hints: { loginHint: 'ada@contoso.com' } })).toBe('staff')
  })

  it('is otherwise for the person to choose, unless the request forbids that', async () => {
    expect(await choose()).toBeUndefined()
    await expect(choose({ hints: { prompts: ['none'] } })).rejects.toMatchObject({ code: 'login_required' })
  })
})

it('the choices keep every parameter of the request, encoded, and replace the provider', () => {
  const query = new URLSearchParams([
    ['frontend', 'shop'],
    ['return_url', 'https://app.example.com/a?b="><script>&c=%2f#d'],
    ['login_hint', 'ä@ü'],
  ])

  const choices = choicesOf([staff, guests], query, 'https://signin.example.com/login')

  expect(choices.map(({ displayName }) => displayName)).toEqual(['People of staff', 'People of guests'])
  for (const [index, id] of ['staff', 'guests'].entries()) {
    const url = new URL(choices[index]!.url)
    expect(url.origin + url.pathname).toBe('https://signin.example.com/login')
    expect([...url.searchParams]).toEqual([...query, ['provider', id]])
  }
})

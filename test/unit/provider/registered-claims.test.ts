import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  completeClaims,
  mostClaimBytes,
  readRegisteredClaims,
  renewClaims,
  shownClaims,
  withAddresses,
} from '../../../shared/provider/registered-claims.ts'
import { memberName } from '../../setup/arbitrary-text.ts'

/** An ID token's claims as they come: parsed JSON, so that `__proto__` is a member of its own. */
const parsed = (json: string) => JSON.parse(json) as Readonly<Record<string, unknown>>
const guids = (count: number) =>
  Array.from({ length: count }, (_, n) => `66666666-0000-4000-8000-${String(n).padStart(12, '0')}`)

describe('registered claims', () => {
  it('are those that the front end names, and no other claim of the token', () => {
    const token = { sub: 's', roles: ['Orders.Approve'], email: 'ada@contoso.example', wids: ['62e90394'], groups: [] }

    expect(readRegisteredClaims(token, ['roles', 'groups', 'department'])).toEqual({
      values: { roles: ['Orders.Approve'], groups: [] },
    })
    expect(readRegisteredClaims(token, [])).toEqual({ values: {} })
  })

  it.each<[string, unknown]>([
    ['a text', 'Ada'],
    ['an empty text', ''],
    ['a text in another alphabet', '测试 🚀 العربية'],
    ['a text with markup and control characters', '<script>\u0000\u2028</script>'],
    ['half of a surrogate pair', '\ud800'],
    ['a number', 42.5],
    ['zero', 0],
    ['true', true],
    ['false', false],
    ['an array of texts', ['a', 'b']],
    ['an empty array', []],
  ])('may have %s as value', (_, value) => {
    expect(readRegisteredClaims({ department: value }, ['department'])).toEqual({ values: { department: value } })
  })

  it.each<[string, unknown]>([
    ['an object of other members', { street: '1 Street', __proto__: null, formatted: 1 }],
    ['an array of numbers', [1, 2]],
    ['an array with one other member', ['a', null]],
    ['an array in an array', [['a']]],
    ['a number that JSON cannot carry', Infinity],
  ])('are omitted and named where the value is %s', (_, value) => {
    expect(readRegisteredClaims({ address: value, roles: ['r'] }, ['address', 'roles'])).toEqual({
      values: { roles: ['r'] },
      omitted: ['address'],
    })
  })

  it('include an address, with the texts of OpenID Connect Core §5.1.1', () => {
    const text = '{"formatted":"1 Street\\nBern","country":"CH","region":null,"geo":{"lat":1},"__proto__":"x"}'

    expect(
      readRegisteredClaims({ address: JSON.parse(text) as object, street: { country: 'CH' } }, ['address', 'street']),
    ).toEqual({
      values: { address: { formatted: '1 Street\nBern', country: 'CH' } },
      omitted: ['street'],
    })
  })

  it('are absent, and not omitted, where the token has none, or null', () => {
    expect(readRegisteredClaims({ department: null }, ['department', 'roles'])).toEqual({ values: {} })
  })

  it.each([
    ['true', true],
    ['True', true],
    [true, true],
    ['false', false],
    ['', false],
    [0, false],
  ])('confirm an address by a boolean, also where the token has %j', (value, confirmed) => {
    const addresses = { email: 'ada@contoso.example', phone_number: '+41 31 000 00 00' }
    const token = { ...addresses, email_verified: value, phone_number_verified: value, department: value }

    expect(readRegisteredClaims(token, Object.keys(token)).values).toEqual({
      ...addresses,
      email_verified: confirmed,
      phone_number_verified: confirmed,
      department: value,
    })
  })

  it.each([[['true']], [{ toString: 'true' }], [{ toString: null, valueOf: null }]])(
    'confirm no address by %j, which is another type',
    (value) => {
      expect(readRegisteredClaims({ email_verified: value }, ['email_verified']).values).toEqual({
        email_verified: false,
      })
    },
  )

  it.each([
    ['lacks it', {}],
    ['has it as another type', { email: ['ada@contoso.example'] }],
    ['has a too large one', { email: `${'a'.repeat(2048)}@contoso.example` }],
  ])('confirm no address where the token %s', (_, token) => {
    const read = (claims: object) =>
      readRegisteredClaims({ ...claims, email_verified: true }, ['email', 'email_verified'])

    expect(read(token)).toMatchObject({ values: {}, omitted: expect.arrayContaining(['email_verified']) as unknown })
    const sound = { email: 'ada@contoso.example', email_verified: true }
    expect(read(sound)).toEqual({ values: sound })
    // Registered in the other order, and where the address is not registered.
    expect(readRegisteredClaims(sound, withAddresses(['email_verified']))).toEqual({ values: sound })
  })

  it('have each text of an array once', () => {
    expect(readRegisteredClaims({ roles: ['a', 'b', 'a'] }, ['roles']).values).toEqual({ roles: ['a', 'b'] })
  })

  describe('of more than 2 KB', () => {
    it('are kept in the order of the registration while they fit, and the others are named', () => {
      const token = { groups: guids(200), roles: ['r'], department: 'd'.repeat(1500), office: 'o'.repeat(1000) }

      expect(readRegisteredClaims(token, ['groups', 'department', 'office', 'roles'])).toEqual({
        values: { department: token.department, roles: ['r'] },
        omitted: ['groups', 'office'],
      })
      expect(readRegisteredClaims(token, ['office', 'department']).omitted).toEqual(['department'])
    })

    it('are measured in bytes of UTF-8, not in characters', () => {
      const frame = Buffer.byteLength('{"a":""}')
      const fits = 'é'.repeat((mostClaimBytes - frame) / 2)

      expect(readRegisteredClaims({ a: fits }, ['a'])).toEqual({ values: { a: fits } })
      expect(readRegisteredClaims({ a: `${fits}a` }, ['a'])).toEqual({ values: {}, omitted: ['a'] })
    })

    it('include huge arrays', () => {
      expect(readRegisteredClaims({ groups: guids(100_000), roles: ['r'] }, ['groups', 'roles'])).toEqual({
        values: { roles: ['r'] },
        omitted: ['groups'],
      })
    })

    it('never are, for any token and any registration', () => {
      const json = fc.dictionary(memberName({ maxLength: 12 }), fc.oneof(fc.jsonValue(), fc.array(fc.string())))
      fc.assert(
        fc.property(json, fc.uniqueArray(fc.string({ maxLength: 12 }), { maxLength: 20 }), (token, more) => {
          const names = [...new Set([...Object.keys(token), ...more])].slice(0, 20)
          const { values, omitted = [] } = readRegisteredClaims(parsed(JSON.stringify(token)), names)

          expect(Buffer.byteLength(JSON.stringify(values))).toBeLessThanOrEqual(mostClaimBytes)
          for (const name of names) {
            const isThere = Object.hasOwn(token, name) && token[name] !== null
            expect(Object.hasOwn(values, name) || omitted.includes(name)).toBe(isThere)
          }
        }),
      )
    })
  })

  describe('that the token names without their values', () => {
    it.each([
      [
        '_claim_names',
        { _claim_names: { groups: 'src1' }, _claim_sources: { src1: { endpoint: 'https://g.example' } } },
      ],
      ['hasgroups', { hasgroups: true }],
      ['hasgroups as a text', { hasgroups: 'true' }],
    ])('are an overage where they are groups, by %s', (_, claims) => {
      expect(readRegisteredClaims({ ...claims, roles: ['r'] }, ['groups', 'roles'])).toEqual({
        values: { roles: ['r'] },
        groupsOverage: true,
      })
      // A front end that does not register groups receives no word of them.
      expect(readRegisteredClaims({ ...claims, roles: ['r'] }, ['roles'])).toEqual({ values: { roles: ['r'] } })
    })

    it('are omitted where they are others', () => {
      expect(readRegisteredClaims({ _claim_names: { wids: 'src1' } }, ['wids'])).toEqual({
        values: {},
        omitted: ['wids'],
      })
    })

    it.each([
      [{ _claim_names: null }],
      [{ _claim_names: ['groups'] }],
      [{ _claim_names: 'groups' }],
      [{ hasgroups: false }],
    ])('are none for %j', (claims) => {
      expect(readRegisteredClaims(claims, ['groups'])).toEqual({ values: {} })
    })
  })

  it('are completed by userinfo within 2 KB, and those that do not fit are named', () => {
    const claims = { values: { roles: ['r'.repeat(1900)] }, omitted: ['groups'] }
    const userinfo = { email: 'ada@contoso.example', website: 'w'.repeat(200), picture: {}, roles: ['admin'] }

    expect(completeClaims(claims, userinfo, ['website', 'email', 'picture', 'locale'])).toEqual({
      values: { ...claims.values, email: 'ada@contoso.example' },
      omitted: ['groups', 'website', 'picture'],
    })
  })

  it.each([
    ['email', 'grace@example.com', 'ceo@contoso.com'],
    ['phone_number', '+41 31 000 00 00', '+41 31 000 00 01'],
  ])('have a confirmation of the %s that it is about, and of no other one', (address, mine, other) => {
    const confirmation = `${address}_verified`
    const names = [confirmation, address]
    const completed = (idToken: object, userinfo: object) =>
      completeClaims(readRegisteredClaims({ ...idToken }, withAddresses(names)), { ...userinfo }, withAddresses(names))
    const renewed = (before: Readonly<Record<string, string | boolean>>, idToken: object) =>
      renewClaims({ values: before }, readRegisteredClaims({ ...idToken }, withAddresses(names)))
    const confirmed = { [address]: mine, [confirmation]: true }
    const unconfirmed = { values: { [address]: other }, omitted: [confirmation] }

    // The provider confirms the person's own address at userinfo, and the ID token has one that the person has typed.
    expect(completed({ [address]: other }, confirmed)).toEqual(unconfirmed)
    expect(completed({ [address]: other }, { [confirmation]: true })).toEqual(unconfirmed)
    expect(completed({ [address]: mine }, confirmed)).toEqual({ values: confirmed })
    // The person has changed the address since the sign-in.
    expect(renewed(confirmed, { [address]: other })).toEqual(unconfirmed)
    expect(renewed({ [address]: other }, { [confirmation]: true }).values).not.toHaveProperty(confirmation)
    expect(renewed(confirmed, { [address]: mine })).toEqual({ values: confirmed })
    expect(renewed({ [confirmation]: true, [address]: mine }, {})).toEqual({ values: confirmed })
  })

  it('have no confirmation that no document has beside that address, for any three documents', () => {
    const document = fc.record(
      {
        email: fc.constantFrom('grace@example.com', 'ceo@contoso.com', 1, null, ['ceo@contoso.com']),
        email_verified: fc.constantFrom(true, 'true', false, null),
      },
      { requiredKeys: [] },
    )
    const registered = fc.constantFrom(['email', 'email_verified'], ['email_verified', 'email'], ['email_verified'])
    fc.assert(
      fc.property(document, document, document, registered, (idToken, userinfo, renewal, names) => {
        const wanted = withAddresses(names)
        const completed = completeClaims(readRegisteredClaims(idToken, wanted), userinfo, wanted)
        const isConfirmedBy = (email: unknown, documents: readonly (typeof idToken)[]) =>
          documents.some((one) => one.email === email && /true/.test(String(one.email_verified)))

        const { email, email_verified } = completed.values
        if (email_verified === true) expect(isConfirmedBy(email, [idToken, userinfo])).toBe(true)
        const { values } = renewClaims(completed, readRegisteredClaims(renewal, wanted))
        if (values.email_verified === true) expect(isConfirmedBy(values.email, [idToken, userinfo, renewal])).toBe(true)
      }),
    )
  })

  it('change no prototype by their names', () => {
    const token = parsed('{"__proto__":{"admin":true},"constructor":"c","roles":["r"]}')
    const { values } = readRegisteredClaims(token, ['__proto__', 'constructor', 'toString', 'roles'])

    expect(Object.getPrototypeOf(values)).toBe(Object.prototype)
    expect((values as { admin?: unknown }).admin).toBeUndefined()
    expect(Object.keys(values)).toEqual(['constructor', 'roles'])
    expect(({} as { admin?: unknown }).admin).toBeUndefined()
  })

  describe('after a renewal', () => {
    it('are those of the new ID token: a role that was removed is gone', () => {
      const before = { values: { roles: ['a', 'b'], department: 'd' }, omitted: ['groups'], groupsOverage: true }

      expect(renewClaims(before, { values: { roles: ['a'] } })).toEqual({ values: { roles: ['a'] } })
      expect(renewClaims(before, { values: {} })).toEqual({ values: {} })
    })

    it.each([{ address: { country: 'CH' } }, { phone_number: '+41 31 000 00 00', phone_number_verified: true }])(
      'keep %j, which the provider returns for a scope of the sign-in alone',
      (values) => {
        expect(renewClaims({ values: { ...values, roles: ['a'] } }, { values: {} })).toEqual({ values })
      },
    )

    it('keep a name of the sign-in, which the provider may return at userinfo alone', () => {
      expect(renewClaims({ values: { given_name: 'Ada' } }, { values: {} }).values).toEqual({ given_name: 'Ada' })
    })

    it('keep the e-mail address, which the provider returns for a scope of the sign-in alone', () => {
      const before = { values: { email: 'ada@contoso.example', roles: ['a'] } }

      expect(renewClaims(before, { values: { roles: ['b'] } }).values).toEqual({
        roles: ['b'],
        email: 'ada@contoso.example',
      })
      expect(renewClaims(before, { values: { email: 'new@contoso.example' } }).values).toEqual({
        email: 'new@contoso.example',
      })
      expect(renewClaims(before, { values: {}, omitted: ['email'] })).toEqual({ values: {}, omitted: ['email'] })
    })

    it('stay within 2 KB: the renewed ones have precedence', () => {
      const before = { values: { email: 'e'.repeat(500) } }
      const renewed = { values: { roles: ['r'.repeat(1900)] } }

      expect(renewClaims(before, renewed)).toEqual({ ...renewed, omitted: ['email'] })
    })
  })

  describe('as a front end receives them', () => {
    const claims = { values: { roles: ['r'], email: 'a@b.example' }, omitted: ['wids'], groupsOverage: true }

    it('are those of the registration as it is now', () => {
      expect(shownClaims(claims, ['roles', 'wids', 'groups'])).toEqual({
        values: { roles: ['r'] },
        about: { claims_omitted: ['wids'], groups_overage: true },
      })
      expect(shownClaims(claims, ['email'])).toEqual({ values: { email: 'a@b.example' }, about: {} })
    })

    it('are none without a registration, or for a session of before', () => {
      expect(shownClaims(claims, undefined)).toBeUndefined()
      expect(shownClaims(claims, [])).toBeUndefined()
      expect(shownClaims(undefined, ['roles'])).toBeUndefined()
    })
  })
})

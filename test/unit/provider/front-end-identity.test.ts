import { describe, expect, it } from 'vitest'
import { claimNamesOf, withFrontEndIdentity } from '../../../shared/provider/front-end-identity.ts'
import type { Identity } from '../../../shared/provider/identity.ts'

const identity = (issuer: string, subject: string, email?: string) => ({ issuer, subject, email }) as Identity
const [home, away] = ['https://login.contoso.com', 'https://login.partner.example']
const partner = { id: 'partner', domains: ['partner.example'] }
const primary = { id: 'primary', domains: [] }

/** The subject that a front end receives. */
const subjectOf = ({ subject, frontEndSubject }: Identity) => frontEndSubject ?? subject

describe('the identity that front ends receive', () => {
  it('of the primary provider is unchanged', () => {
    const ada = identity(home, 'ada', 'ada@anywhere.example')

    expect(withFrontEndIdentity(ada, primary, true)).toEqual(ada)
  })

  it('of another provider has a subject that is the same each time, and that no other provider can name', () => {
    const atPartner = withFrontEndIdentity(identity(away, 'ada'), partner, false)

    expect(atPartner).toMatchObject({ issuer: away, subject: 'ada', provider: 'partner' })
    expect(subjectOf(atPartner)).not.toBe('ada')
    expect(subjectOf(atPartner).length).toBeLessThan(256)
    expect(subjectOf(withFrontEndIdentity(identity(away, 'ada'), partner, false))).toBe(subjectOf(atPartner))
    expect(subjectOf(withFrontEndIdentity(identity(`${away}/`, 'ada'), partner, false))).not.toBe(subjectOf(atPartner))
    // A provider that uses the other one's subject as its own.
    const copied = withFrontEndIdentity(identity(home, subjectOf(atPartner)), primary, true)
    expect(subjectOf(copied)).not.toBe(subjectOf(atPartner))
    const copiedByOther = withFrontEndIdentity(identity('https://evil.example', subjectOf(atPartner)), partner, false)
    expect(subjectOf(copiedByOther)).not.toBe(subjectOf(atPartner))
  })

  it('of another provider has an email address of the provider’s own domains only', () => {
    const emailOf = (email: string | undefined) =>
      withFrontEndIdentity(identity(away, 'ada', email), partner, false).email

    expect(emailOf('ada@partner.example')).toBe('ada@partner.example')
    expect(emailOf('ada@PARTNER.example')).toBe('ada@PARTNER.example')
    expect(emailOf("o'hara+desk@partner.example")).toBe("o'hara+desk@partner.example")
    for (const foreign of [
      'ceo@contoso.com',
      'ceo@contoso.com@partner.example',
      'ceo@contoso.com, ada@partner.example',
      '"ceo@contoso.com" <ada@partner.example>',
      'ceo@contoso.com\n@partner.example',
      'ada partner@partner.example',
      'partner.example',
      '@partner.example',
      'ceo@partner.example.evil.example',
      'ceo@partner.example@contoso.com',
      'partner.example@',
      'ceo@sub.partner.example',
      undefined,
    ]) {
      expect(emailOf(foreign), foreign).toBeUndefined()
    }
    // U+212A, the Kelvin sign, is a k in small letters, and another letter in a host name.
    const [kelvin, k] = ['ada@\u212aontoso.example', 'ada@Kontoso.example'].map((email) =>
      withFrontEndIdentity(identity(away, 'ada', email), { ...partner, domains: ['kontoso.example'] }, false),
    )
    expect([kelvin?.email, k?.email]).toEqual([undefined, 'ada@Kontoso.example'])
  })

  it('of another provider has a registered address of the provider’s own domains only, and names one that is left out', () => {
    const claimsOf = (values: Readonly<Record<string, string | boolean | string[]>>, by = partner, isPrimary = false) =>
      withFrontEndIdentity({ ...identity(away, 'ada'), claims: { values } }, by, isPrimary).claims
    const roles = ['r']

    expect(claimsOf({ email: 'ada@partner.example', roles })).toEqual({
      values: { email: 'ada@partner.example', roles },
    })
    expect(claimsOf({ email: 'ceo@contoso.com', email_verified: true, roles })).toEqual({
      values: { roles },
      omitted: ['email', 'email_verified'],
    })
    expect(claimsOf({ email: ['ceo@contoso.com'], roles })).toEqual({ values: { roles }, omitted: ['email'] })
    const anywhere = { email: 'ada@anywhere.example', roles }
    expect(claimsOf(anywhere, primary, true)).toEqual({ values: anywhere })
  })

  it('has the registered claims that the provider may set, and of the primary one all', () => {
    expect(claimNamesOf({ claims: undefined }, ['roles', 'groups'])).toEqual(['roles', 'groups'])
    expect(claimNamesOf({ claims: ['groups', 'wids'] }, ['roles', 'groups'])).toEqual(['groups'])
    expect(claimNamesOf({ claims: [] }, ['roles'])).toEqual([])
    expect(claimNamesOf({ claims: ['roles'] })).toEqual([])
    // The address is read where its confirmation is: it may be another one than at the sign-in.
    expect(claimNamesOf({ claims: undefined }, ['email_verified', 'roles'])).toEqual([
      'email',
      'email_verified',
      'roles',
    ])
    expect(claimNamesOf({ claims: ['email_verified'] }, ['email_verified', 'email'])).toEqual(['email_verified'])
  })
})

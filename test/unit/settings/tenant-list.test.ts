import { describe, expect, it } from 'vitest'
import { environment, frontEnd, problemsOf, refusalsOf, settingsWith } from './environment.ts'

const contoso = environment.AzureAd__TenantId
const fabrikam = '0f3c6d1e-5b7a-4c2d-8e9f-1a2b3c4d5e6f'
const many = {
  AzureAd__TenantId: 'organizations',
  Broker__HomeTenantId: contoso,
  Broker__Tenants: `${contoso} : Contoso.com, ${fabrikam.toUpperCase()}`,
}
const signedUp = { ...many, Broker__Tenants: 'signed-up' }

describe('an authority for many tenants', () => {
  it('is accepted together with the tenants that may sign in, in any case', () => {
    for (const tenantId of ['organizations', 'Organizations']) {
      const { provider } = settingsWith({ ...many, AzureAd__TenantId: tenantId })

      expect(provider.identity).toMatchObject({ tenantId: 'organizations' })
      expect(provider.manyTenants).toEqual({
        allowed: [
          { tenantId: contoso, domain: 'contoso.com' },
          { tenantId: fabrikam, domain: undefined },
        ],
        homeTenantId: contoso,
        allowPersonalAccounts: false,
        signUpRole: undefined,
        invitations: undefined,
      })
    }
  })

  it('is refused alone: it would admit every organization', () => {
    expect(refusalsOf({ AzureAd__TenantId: 'organizations' })).toEqual([
      'Broker__Tenants is missing: AzureAd__TenantId is organizations',
      'Broker__HomeTenantId is missing: AzureAd__TenantId is organizations',
    ])
  })

  it.each([
    ['', 'Broker__Tenants is missing: AzureAd__TenantId is organizations'],
    [',', 'Broker__Tenants is not a list of tenants'],
    ['*', 'Broker__Tenants is not a GUID'],
    ['all', 'Broker__Tenants is not a GUID'],
    [`${contoso} ${fabrikam}`, 'Broker__Tenants is not a GUID'],
    [`${contoso},signed-up`, 'Broker__Tenants has an entry that is not a GUID'],
    [`${contoso},contoso.com`, 'Broker__Tenants has an entry that is a domain name, which can move to another tenant'],
    [`${contoso},common`, 'Broker__Tenants has an entry that admits accounts of every tenant, and personal accounts'],
    [
      `${contoso},9188040d-6c67-4c5b-b112-36a304b66dad`,
      'Broker__Tenants has an entry that admits personal accounts, which belong to no tenant of yours',
    ],
    [`${contoso},${contoso.toUpperCase()}`, 'Broker__Tenants names a tenant twice'],
    [`${contoso}:<b>`, 'Broker__Tenants is not a list of tenants'],
    [`${contoso}:`, 'Broker__Tenants is not a list of tenants'],
    [`${contoso}:a.com:b.com`, 'Broker__Tenants is not a list of tenants'],
    [`{${contoso}}`, 'Broker__Tenants is a placeholder'],
  ])('has no tenants by %j', (tenants, problem) => {
    expect(refusalsOf({ ...many, Broker__Tenants: tenants })).toEqual([problem])
  })

  it('admits personal accounts at `common` alone, and only by a setting of their own', () => {
    const common = { ...many, AzureAd__TenantId: 'common' }
    const personal = { Broker__AllowPersonalAccounts: 'true' }

    expect(settingsWith({ ...common, ...personal }).provider.manyTenants).toMatchObject({ allowPersonalAccounts: true })
    expect(refusalsOf(common)).toEqual(['AzureAd__TenantId admits personal accounts'])
    expect(refusalsOf({ ...common, Broker__AllowPersonalAccounts: 'false' })).toEqual([
      'AzureAd__TenantId admits personal accounts',
    ])
    expect(refusalsOf({ ...many, ...personal })).toEqual([
      'Broker__AllowPersonalAccounts needs AzureAd__TenantId=common',
    ])
  })

  it.each([
    ['Broker__Tenants', contoso],
    ['Broker__Tenants', 'signed-up'],
    ['Broker__HomeTenantId', contoso],
  ])('is what %s=%s needs', (name, value) => {
    expect(refusalsOf({ [name]: value })).toEqual([`${name} needs AzureAd__TenantId=organizations`])
  })

  it('may leave the tenants to sign-up, for all or for invited organizations', () => {
    const invitations = { Broker__Invitations: `Contoso.com,${fabrikam}`, Broker__SignUpRole: 'Broker.SignUp' }

    for (const Broker__Tenants of ['signed-up', 'Signed-Up']) {
      expect(settingsWith({ ...signedUp, Broker__Tenants }).provider.manyTenants).toMatchObject({
        allowed: 'signed-up',
        invitations: undefined,
      })
    }
    expect(settingsWith({ ...signedUp, ...invitations }).provider.manyTenants).toMatchObject({
      invitations: ['contoso.com', fabrikam],
      signUpRole: 'Broker.SignUp',
    })
    expect(refusalsOf({ ...many, ...invitations })).toEqual([
      'Broker__SignUpRole needs Broker__Tenants=signed-up',
      'Broker__Invitations needs Broker__Tenants=signed-up',
    ])
    for (const bad of [
      '@contoso.com',
      'contoso',
      '*.contoso.com',
      '.com',
      'contoso-.com',
      `${'a'.repeat(64)}.com`,
      'consumers',
    ]) {
      expect(refusalsOf({ ...signedUp, Broker__Invitations: bad }), bad).toEqual([
        'Broker__Invitations is not a list of domains and tenant ids',
      ])
    }
  })
})

describe('the tenants of a front end', () => {
  const withTenants = (tenants: unknown, settings: Readonly<Record<string, string>> = many) => ({
    ...settings,
    Broker__FrontEnds: JSON.stringify([{ ...frontEnd, tenants }]),
  })

  it('narrow those of the broker', () => {
    expect(settingsWith(withTenants([fabrikam])).frontEnds[0]).toMatchObject({ tenants: [fabrikam] })
    expect(settingsWith(withTenants([fabrikam], signedUp)).frontEnds[0]).toMatchObject({ tenants: [fabrikam] })
  })

  it.each<[string, unknown, Readonly<Record<string, string>>, string]>([
    ['a tenant of no list', ['77777777-7777-4777-8777-777777777777'], many, 'is not a tenant of Broker__Tenants'],
    ['one tenant signs in', [contoso], {}, 'is not a tenant of Broker__Tenants'],
    ['capital letters', [fabrikam.toUpperCase()], many, 'has capital letters'],
    ['a domain', ['contoso.com'], many, 'is a domain name, which can move to another tenant'],
    ['personal accounts', ['consumers'], many, 'admits personal accounts, which belong to no tenant of yours'],
  ])('are refused: %s', (_, tenants, settings, problem) => {
    expect(refusalsOf(withTenants(tenants, settings))).toEqual([`Broker__FrontEnds[0].tenants[0] ${problem}`])
  })

  it('may be those of a further provider for many, the primary tenant beside it, and personal accounts', () => {
    const entry = {
      ...{ id: 'saas', kind: 'entra', name: 'Customers', instance: 'https://login.microsoftonline.com/' },
      ...{ clientId: fabrikam, tenantId: 'common', homeTenantId: contoso, tenants: fabrikam },
      allowPersonalAccounts: true,
    }
    const Broker__Providers = JSON.stringify([entry])
    const personal = '9188040d-6c67-4c5b-b112-36a304b66dad'

    expect(() => settingsWith(withTenants([fabrikam, contoso, personal], { Broker__Providers }))).not.toThrow()
    expect(refusalsOf(withTenants([fabrikam, personal]))).toEqual([
      'Broker__FrontEnds[0].tenants[1] is not a tenant of Broker__Tenants',
    ])
    expect(refusalsOf(withTenants(['77777777-7777-4777-8777-777777777777'], { Broker__Providers }))).toEqual([
      'Broker__FrontEnds[0].tenants[0] is not a tenant of Broker__Tenants',
    ])
  })

  it('are refused where the list is empty: it would mean none or all', () => {
    expect(problemsOf(withTenants([]))[0]).toMatchObject({
      setting: 'Broker__FrontEnds[0].tenants',
      problem: 'is empty',
    })
  })
})

import { describe, expect, it } from 'vitest'
import type { Identity } from '../../../shared/provider/identity.ts'
import { createAdmission } from '../../../shared/tenants/admission.ts'

const tenantId = 'f5a0b6a2-6e4f-4d0e-9a62-3c0d2b1e7c55'
const personalTenantId = '9188040d-6c67-4c5b-b112-36a304b66dad'
const globalAdministrator = '62e90394-69f5-4237-9190-012177145e10'
const administrator = {
  tokenIssuer: `https://login.example.com/${tenantId}/v2.0`,
  tenantId,
  objectId: 'an administrator',
} as unknown as Identity

type Claims = Readonly<Record<string, unknown>>

/** @returns the tenants that signed up, or the code of the refusal */
async function admitted(
  claims: Claims,
  options: { signUpRole?: string; invitations?: readonly string[]; of?: Identity; consented?: string } = {},
) {
  const added: object[] = []
  const admission = createAdmission({
    tenants: {
      add: (tenant) => {
        added.push(tenant)
        return Promise.resolve({ ...tenant, state: 'active', signedUpAt: 0, changedAt: 0 })
      },
    },
    personalTenantId,
    signUpRole: options.signUpRole,
    invitations: options.invitations,
    log: () => undefined,
  })
  try {
    await admission.admit(options.of ?? administrator, claims, options.consented)
    return added
  } catch (error) {
    return (error as { code: string }).code
  }
}

const ofAdministrator = { wids: [globalAdministrator] }
const tenant = (domain?: string) => [{ tenantId, signedUpBy: 'an administrator', domain }]

describe('a sign-up is admitted', () => {
  it.each([
    [globalAdministrator],
    ['e8611ab8-c189-46e8-94e1-60213ab1f814'],
    ['158c047a-c907-4556-b7ef-446551a6b5f7'],
    ['9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3'],
  ])('by the directory role %s, beside any other', async (role) => {
    expect(await admitted({ wids: ['b79fbf4d-3ef9-4689-8143-76b194e85509', role] })).toEqual(tenant())
  })

  it('by the app role of the settings', async () => {
    expect(await admitted({ roles: ['Broker.SignUp'] }, { signUpRole: 'Broker.SignUp' })).toEqual(tenant())
  })

  it('with the domain that the token proves, and no other', async () => {
    const email = 'ada@contoso.com'
    expect(await admitted({ ...ofAdministrator, upn: 'Ada@Contoso.COM' })).toEqual(tenant('contoso.com'))
    expect(await admitted({ ...ofAdministrator, email, xms_edov: true })).toEqual(tenant('contoso.com'))
    expect(await admitted({ ...ofAdministrator, email })).toEqual(tenant())
    expect(await admitted({ ...ofAdministrator, email, xms_edov: false })).toEqual(tenant())
    expect(await admitted({ ...ofAdministrator, preferred_username: email })).toEqual(tenant())
    for (const upn of ['a@b@contoso.com', 'contoso.com', '@contoso.com', 'a@contoso.com\n', 7]) {
      expect(await admitted({ ...ofAdministrator, upn }), String(upn)).toEqual(tenant())
    }
  })

  it('for invited tenants and domains alone, where invitations are set', async () => {
    const invitations = ['contoso.com', '0f3c6d1e-5b7a-4c2d-8e9f-1a2b3c4d5e6f']

    expect(await admitted({ ...ofAdministrator, upn: 'a@contoso.com' }, { invitations })).toEqual(tenant('contoso.com'))
    expect(await admitted(ofAdministrator, { invitations: [tenantId] })).toEqual(tenant())
    for (const claims of [
      {},
      { upn: 'a@fabrikam.com' },
      { upn: 'a@sub.contoso.com' },
      { upn: 'a@xcontoso.com' },
      { preferred_username: 'a@contoso.com' },
      { email: 'a@contoso.com' },
    ]) {
      expect(await admitted({ ...ofAdministrator, ...claims }, { invitations })).toBe('sign_up_not_invited')
    }
  })

  it('where the consent named the same tenant, or none', async () => {
    expect(await admitted(ofAdministrator, { consented: tenantId })).toEqual(tenant())
    expect(await admitted(ofAdministrator, { consented: '0f3c6d1e-5b7a-4c2d-8e9f-1a2b3c4d5e6f' })).toBe(
      'sign_up_mismatch',
    )
  })
})

describe('a sign-up is refused', () => {
  it.each<[string, Claims]>([
    ['no roles', {}],
    ['the role that every member has', { wids: ['b79fbf4d-3ef9-4689-8143-76b194e85509'] }],
    ['another role of the directory', { wids: ['729827e3-9c14-49f7-bb1b-9608f156bbb8'] }],
    ['a text in place of the list', { wids: globalAdministrator }],
    ['an object in the list', { wids: [{ id: globalAdministrator }] }],
    ['the role under another claim', { roles: [globalAdministrator], groups: [globalAdministrator] }],
    ['an app role that the settings do not name', { roles: ['Broker.SignUp'] }],
  ])('to a person with %s', async (_, claims) => {
    expect(await admitted(claims)).toBe('sign_up_not_permitted')
    expect(await admitted(claims, { signUpRole: 'Other.Role' })).toBe('sign_up_not_permitted')
  })

  it.each<[string, Claims]>([
    ['`acct`', { acct: 1 }],
    ['`idp`', { idp: 'https://sts.windows.net/99999999-9999-4999-8999-999999999999/' }],
  ])('to a guest by %s, also with the role of an administrator', async (_, claims) => {
    expect(await admitted({ ...ofAdministrator, ...claims })).toBe('guest_not_allowed')
  })

  it('to a personal account, and at a provider for one tenant', async () => {
    const personal = { ...administrator, tenantId: personalTenantId }
    const ofOne = { ...administrator, tokenIssuer: undefined }

    expect(await admitted(ofAdministrator, { of: personal })).toBe('personal_account_not_allowed')
    expect(await admitted(ofAdministrator, { of: ofOne })).toBe('sign_up_closed')
  })
})

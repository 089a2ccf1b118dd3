import { describe, expect, it } from 'vitest'
import { checkTenant, createListedTenants, isTenantAllowed } from '../../../shared/tenants/tenants.ts'
import type { Tenants } from '../../../shared/tenants/tenants.ts'

const [contoso, fabrikam, stranger] = [
  'f5a0b6a2-6e4f-4d0e-9a62-3c0d2b1e7c55',
  '0f3c6d1e-5b7a-4c2d-8e9f-1a2b3c4d5e6f',
  '77777777-7777-4777-8777-777777777777',
]
const personal = '9188040d-6c67-4c5b-b112-36a304b66dad'
const personOf = (tenantId: string | undefined) => ({
  tokenIssuer: `https://login.example.com/${tenantId ?? ''}/v2.0`,
  tenantId,
})
const listed = createListedTenants(
  [
    { tenantId: contoso, domain: 'contoso.com' },
    { tenantId: fabrikam, domain: undefined },
  ],
  undefined,
)

describe('a person of a provider for many tenants', () => {
  it('may sign in where the tenant is listed, and no other person may', async () => {
    await checkTenant(personOf(contoso), {}, listed)
    await checkTenant(personOf(fabrikam), undefined, listed)

    for (const tenantId of [stranger, personal, contoso.toUpperCase(), '', 'constructor', undefined]) {
      await expect(checkTenant(personOf(tenantId), {}, listed)).rejects.toMatchObject({ code: 'tenant_not_allowed' })
      expect(await isTenantAllowed(personOf(tenantId), {}, listed)).toBe(false)
    }
  })

  it('may not sign in where the settings name no tenants any more, and their sessions are over', async () => {
    await expect(checkTenant(personOf(contoso), {}, undefined)).rejects.toMatchObject({ code: 'tenant_not_allowed' })
    expect(await isTenantAllowed(personOf(contoso), {}, undefined)).toBe(false)
  })

  it('may use a personal account where the settings allow it', async () => {
    await checkTenant(personOf(personal), {}, createListedTenants([], personal))
    await expect(checkTenant(personOf(personal), {}, listed)).rejects.toMatchObject({ code: 'tenant_not_allowed' })
  })

  it('may use a front end that is limited to other tenants only as one of their people', async () => {
    const forContoso = { tenants: [contoso] }

    await checkTenant(personOf(contoso), forContoso, listed)
    expect(await isTenantAllowed(personOf(contoso), forContoso, listed)).toBe(true)
    await expect(checkTenant(personOf(fabrikam), forContoso, listed)).rejects.toMatchObject({
      code: 'tenant_not_allowed',
      remedy: 'Sign in with an account of contoso.com.',
    })
    expect(await isTenantAllowed(personOf(fabrikam), forContoso, listed)).toBe(false)
    // A tenant without a name in the settings is not named on a page.
    await expect(checkTenant(personOf(contoso), { tenants: [fabrikam] }, listed)).rejects.toMatchObject({
      remedy: expect.not.stringContaining(fabrikam) as string,
    })
  })

  it('meets a fault where the state cannot be read: no sign-in succeeds, and no session ends', async () => {
    const failing: Tenants = { stateOf: () => Promise.reject(new Error('down')), domainOf: () => undefined }

    await expect(checkTenant(personOf(contoso), {}, failing)).rejects.toThrow('down')
    await expect(isTenantAllowed(personOf(contoso), {}, failing)).rejects.toThrow('down')
  })

  it('differs from a person of a provider for one tenant, whom the settings admit', async () => {
    const ofOne = { tokenIssuer: undefined, tenantId: contoso }

    await checkTenant(ofOne, {}, undefined)
    expect(await isTenantAllowed(ofOne, {}, listed)).toBe(true)
    await expect(checkTenant(ofOne, { tenants: [fabrikam] }, listed)).rejects.toMatchObject({
      code: 'tenant_not_allowed',
    })
  })
})

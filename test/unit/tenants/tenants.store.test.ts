import { describe, expect, it } from 'vitest'
import type { Store } from '../../../shared/store/store.ts'
import { createSignedUpTenants, tenantCacheMilliseconds } from '../../../shared/tenants/tenants.store.ts'
import type { TableProxy } from '../../setup/table-proxy.ts'
import { useSessionParts } from '../session/parts.ts'
import type { SessionParts, TestClock } from '../session/parts.ts'

const [contoso, fabrikam] = ['f5a0b6a2-6e4f-4d0e-9a62-3c0d2b1e7c55', '0f3c6d1e-5b7a-4c2d-8e9f-1a2b3c4d5e6f']
const administrator = 'aaaaaaaa-0001-4000-8000-000000000001'
const personal = '9188040d-6c67-4c5b-b112-36a304b66dad'
const key = (row: string) => ({ partition: 'tenants', row })

describe('the tenants that signed up', () => {
  let parts: SessionParts
  let network: TableProxy
  let store: Store
  let clock: TestClock
  let faults: unknown[]
  useSessionParts('2031-05-10T12:00:00Z', (own) => void ({ parts, network, store, clock, faults } = own))

  const newInstance = (personalTenantId?: string, provider?: string) =>
    createSignedUpTenants({
      store,
      provider,
      vault: parts.newVault(),
      clock,
      personalTenantId,
      onFault: (error) => void faults.push(error),
    })
  const signUp = (tenantId = contoso, instance = newInstance()) =>
    instance.add({ tenantId, signedUpBy: administrator, domain: 'contoso.com' })
  const states = async (...ids: readonly string[]) => {
    const instance = newInstance()
    return Promise.all(ids.map((id) => instance.stateOf(id)))
  }

  it('are rows: when, by whom, and their state, at every instance', async () => {
    await signUp()

    expect(await states(contoso, fabrikam)).toEqual(['active', 'unknown'])
    expect(await newInstance().list()).toEqual([
      {
        tenantId: contoso,
        state: 'active',
        signedUpAt: clock(),
        signedUpBy: administrator,
        domain: 'contoso.com',
        changedAt: clock(),
      },
    ])
    expect((await store.find('service', key(contoso)))?.sweepAfter.getUTCFullYear()).toBe(9999)
  })

  it('keep their first administrator when a second one signs up, also at the same moment', async () => {
    const second = { tenantId: contoso, signedUpBy: 'aaaaaaaa-0002-4000-8000-000000000002', domain: undefined }
    const both = await Promise.all([signUp(), newInstance().add(second)])

    expect(both[0]).toEqual(both[1])
    clock.advance(60)
    expect(await newInstance().add(second)).toEqual(both[0])
    expect(await newInstance().list()).toHaveLength(1)
  })

  it('are suspended, resumed and removed; a sign-up resumes none', async () => {
    await signUp()
    clock.advance(60)
    await newInstance().setState(contoso, 'suspended')

    expect(await states(contoso)).toEqual(['suspended'])
    expect(await signUp()).toMatchObject({ state: 'suspended', changedAt: clock(), signedUpBy: administrator })
    expect(await states(contoso)).toEqual(['suspended'])

    await newInstance().setState(contoso, 'active')
    expect(await states(contoso)).toEqual(['active'])

    expect(await newInstance().remove(contoso)).toBe(true)
    expect(await newInstance().remove(contoso)).toBe(false)
    expect(await states(contoso)).toEqual(['unknown'])
    await expect(newInstance().setState(contoso, 'suspended')).rejects.toMatchObject({ code: 'tenant_unknown' })
  })

  it('are removed where the store’s answer is lost: the operator’s request is logged as a change', async () => {
    await signUp()
    network.addFault({ loseAnswer: true, times: 1, operation: 'remove' })

    expect(await newInstance().remove(contoso)).toBe(true)
    expect(await newInstance().remove(contoso)).toBe(false)
  })

  it('are read once a minute at each instance; a suspension elsewhere takes effect within it', async () => {
    await signUp()
    const [here, there] = [newInstance(), newInstance()]
    const stateHere = () => here.stateOf(contoso)
    expect(await stateHere()).toBe('active')
    network.resetRequests()

    for (let i = 0; i < 5; i++) expect(await stateHere()).toBe('active')
    expect(network.requests).toEqual([])

    await there.setState(contoso, 'suspended')
    expect(await there.stateOf(contoso)).toBe('suspended')
    clock.advance(tenantCacheMilliseconds / 1000 - 1)
    expect(await stateHere()).toBe('active')
    clock.advance(1)
    expect(await Promise.all([stateHere(), stateHere(), stateHere()])).toEqual(Array(3).fill('suspended'))
    expect(network.requests.filter(({ operation }) => operation === 'find')).toHaveLength(2)

    // A clock that jumped back keeps no state for longer.
    await there.setState(contoso, 'active')
    clock.advance(-3600)
    expect(await stateHere()).toBe('active')
  })

  it('are known at other instances a few seconds after the sign-up, also where a person tried before', async () => {
    const [here, there] = [newInstance(), newInstance()]
    expect(await there.stateOf(contoso)).toBe('unknown')
    await signUp(contoso, here)

    network.resetRequests()
    expect(await there.stateOf(contoso)).toBe('unknown')
    expect(network.requests).toEqual([])
    clock.advance(5)
    expect(await there.stateOf(contoso)).toBe('active')
  })

  it('need the vault for the key of the first row that an instance reads, and then no more', async () => {
    await signUp()
    await signUp(fabrikam)
    const instance = newInstance()
    parts.vault.resetRequests()

    await instance.stateOf(contoso)
    await instance.stateOf(fabrikam)
    clock.advance(3600)
    await instance.stateOf(contoso)

    expect(parts.vaultOperations()).toEqual(['getKey'])
  })

  describe('in a store that an attacker can write', () => {
    const forged = { tenantId: fabrikam, state: 'active', signedUpAt: 0, signedUpBy: 'operator', changedAt: 0 }
    const sweepAfter = new Date('9999-01-01')

    it('do not count where the vault did not sign them', async () => {
      await signUp()
      const good = (await store.find('service', key(contoso)))!
      const { tenant, signature, signedBy } = good.values
      const values = { format: '1', tenant: JSON.stringify(forged), signature: signature!, signedBy: signedBy! }
      const attempts = [
        values,
        // Contoso's row under the name of the other tenant.
        { ...values, tenant: tenant! },
        { ...values, signature: Buffer.alloc(256) },
        { ...values, signedBy: 'broker' },
        { format: '1', tenant: JSON.stringify(forged) },
        { ...values, format: '2' },
      ]
      for (const attempt of attempts) {
        await store.insert('service', { ...key(fabrikam), sweepAfter, values: attempt })
        expect(await states(fabrikam)).toEqual(['unknown'])
        expect(await newInstance().list()).toHaveLength(1)
        await store.remove('service', key(fabrikam))
      }
      expect(faults).toEqual(Array(2 * attempts.length).fill(expect.objectContaining({ code: 'tenant_row_invalid' })))
      expect(await states(contoso)).toEqual(['active'])
    })

    it('do not count at another provider', async () => {
      const at = (provider: string | undefined) => newInstance(undefined, provider)
      await at(undefined).add({ tenantId: contoso, signedUpBy: administrator, domain: undefined })
      await at('partner').add({ tenantId: fabrikam, signedUpBy: administrator, domain: undefined })
      const rows = await Promise.all(
        [key(contoso), { partition: 'tenants.partner', row: fabrikam }].map((one) => store.find('service', one)),
      )

      const [ofPrimary, ofPartner] = rows.map((row) => row!.values)
      await store.insert('service', { partition: 'tenants.partner', row: contoso, sweepAfter, values: ofPrimary! })
      await store.insert('service', { partition: 'tenants.others', row: fabrikam, sweepAfter, values: ofPartner! })
      await store.insert('service', { ...key(fabrikam), sweepAfter, values: ofPartner! })

      expect(await at('partner').stateOf(contoso)).toBe('unknown')
      expect(await at('others').stateOf(fabrikam)).toBe('unknown')
      expect(await at(undefined).stateOf(fabrikam)).toBe('unknown')
      expect([await at(undefined).stateOf(contoso), await at('partner').stateOf(fabrikam)]).toEqual([
        'active',
        'active',
      ])
    })

    it('do not keep an honest tenant from signing up', async () => {
      await store.insert('service', { ...key(fabrikam), sweepAfter, values: { format: '1', tenant: '{}' } })

      await signUp(fabrikam)
      expect(await states(fabrikam)).toEqual(['active'])
    })

    it('never are active by a change of the sealed state', async () => {
      await signUp()
      await newInstance().setState(contoso, 'suspended')
      const row = (await store.find('service', key(contoso)))!
      const tenant = (row.values.tenant as string).replace('suspended', 'active')
      await store.replace('service', { ...row, values: { ...row.values, tenant } }, row.etag)

      expect(await states(contoso)).toEqual(['unknown'])
    })
  })

  it('count no longer where the version of the wrapping key that signed them is disabled', async () => {
    await signUp()
    parts.setWrappingKeyEnabled(false)

    expect(await states(contoso)).toEqual(['unknown'])
  })

  it('stay suspended where that version is disabled: a sign-up makes no active row in the place', async () => {
    await signUp()
    await signUp(fabrikam)
    await newInstance().setState(contoso, 'suspended')
    parts.setWrappingKeyEnabled(false)
    await parts.rotateWrappingKey()

    expect(await states(contoso, fabrikam)).toEqual(['suspended', 'unknown'])
    await signUp()
    await signUp(fabrikam)
    expect(await states(contoso, fabrikam)).toEqual(['suspended', 'active'])
    await newInstance().setState(contoso, 'active')
    expect(await states(contoso)).toEqual(['active'])
  })

  it('still count after the wrapping key was rotated', async () => {
    await signUp()
    await parts.rotateWrappingKey()
    await newInstance().setState(contoso, 'suspended')
    await signUp(fabrikam)

    expect(await states(contoso, fabrikam)).toEqual(['suspended', 'active'])
  })

  it('are not known where store or vault fail: neither allowed nor refused', async () => {
    await signUp()
    parts.vault.faults.add({ operation: 'getKey', status: 503 })
    await expect(newInstance().stateOf(contoso)).rejects.toMatchObject({ code: 'vault_unavailable' })
  })

  it('do not include ids that no token has, and personal accounts only by a setting', async () => {
    network.resetRequests()
    expect(await states('', 'common', '..', 'key-ring', contoso.slice(1), personal)).toEqual(Array(6).fill('unknown'))
    expect(network.requests).toEqual([])
    expect(await newInstance(personal).stateOf(personal)).toBe('active')
  })
})

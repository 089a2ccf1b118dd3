/**
 * Tenants that signed up, as rows of the store. Conditional writes decide between two administrators, and between an
 * administrator and an operator.
 *
 * A state is read from the store once a minute and tenant at each instance, so a sign-in and a session read cost no
 * further request in steady state. A suspension takes effect at every instance within that minute.
 */
import { BoundedMap } from '../async/bounded-map.ts'
import type { Clock } from '../async/deadline.ts'
import { singleFlight } from '../async/single-flight.ts'
import { BrokerError } from '../errors/errors.ts'
import { checkTenantId } from '../settings/identifiers.ts'
import type { RowKey, Store, StoredRow } from '../store/store.ts'
import { openTenant, signTenant, tenantPartitionOf } from './tenant-row.ts'
import type { Tenant, TenantVault } from './tenant-row.ts'
import type { Tenants } from './tenants.ts'

export interface SignedUpTenants extends Tenants {
  /**
   * Signs a tenant up; once, however often it is called.
   *
   * @returns the tenant: the new one, or the one that was there, suspended or not
   */
  add(tenant: Pick<Tenant, 'tenantId' | 'signedUpBy' | 'domain'>): Promise<Tenant>
  /** @throws {BrokerError} `tenant_unknown` where there is no such row */
  setState(tenantId: string, state: Tenant['state']): Promise<Tenant>
  /** @returns false where there was no row */
  remove(tenantId: string): Promise<boolean>
  /** @returns every tenant whose row counts, in the order of their ids */
  list(): Promise<readonly Tenant[]>
}

interface SignedUpTenantsOptions {
  readonly store: Pick<Store, 'find' | 'insert' | 'replace' | 'remove' | 'list'>
  readonly vault: TenantVault
  readonly clock: Clock
  /** The id of the provider; undefined: the primary one. */
  readonly provider?: string | undefined
  /** The tenant of personal accounts, where the settings allow them: it does not sign up. */
  readonly personalTenantId: string | undefined
  readonly onFault: (error: unknown) => void
}

/** An instance uses a state that it has read for this long. docs/operations.md names the time. */
export const tenantCacheMilliseconds = 60_000
/** Of an unknown tenant: its people try to sign in while their administrator signs the organization up. */
const unknownCacheMilliseconds = 5_000
/** A row has no end, and the sweep removes a row after this. */
const never = new Date(Date.UTC(9999, 0, 1))
const mostTries = 8
const mostCached = 10_000

export function createSignedUpTenants(options: SignedUpTenantsOptions): SignedUpTenants {
  const { store, vault, clock, onFault } = options
  const partition = tenantPartitionOf(options.provider)
  const keyOfRow = (tenantId: string): RowKey => ({ partition, row: tenantId })
  const cache = new BoundedMap<string, { readonly tenant: Tenant | undefined; readonly at: number }>(mostCached)
  /** Versions of the wrapping key never change, so each is read once. */
  const keys = new BoundedMap<string, Awaited<ReturnType<TenantVault['readWrappingKey']>>>(16)

  const keyOf = async (version: string) => {
    const known = keys.get(version)
    if (known) return known
    const read = await vault.readWrappingKey(version)
    keys.set(version, read)
    return read
  }

  const open = async (row: StoredRow): Promise<Tenant | undefined> => {
    const opened = await openTenant(row, keyOf)
    if (!('problem' in opened)) return opened
    onFault(new BrokerError('tenant_row_invalid', { detail: `the row of tenant ${row.row} ${opened.problem}` }))
    return undefined
  }

  const read = singleFlight(async (tenantId: string): Promise<Tenant | undefined> => {
    const row = await store.find('service', keyOfRow(tenantId))
    const tenant = row && (await open(row))
    cache.set(tenantId, { tenant, at: clock() })
    return tenant
  })

  /** In both directions: a clock that jumped back must not keep a state for longer. */
  const find = async (tenantId: string): Promise<Tenant | undefined> => {
    const cached = cache.get(tenantId)
    if (!cached) return read(tenantId)
    const lasts = cached.tenant ? tenantCacheMilliseconds : unknownCacheMilliseconds
    return Math.abs(clock() - cached.at) < lasts ? cached.tenant : read(tenantId)
  }

  /** @param change makes the new tenant of the one that is there @returns undefined where nothing is to be written */
  const write = async (
    tenantId: string,
    change: (present: Tenant | undefined) => Tenant | undefined,
  ): Promise<Tenant | undefined> => {
    const key = keyOfRow(tenantId)
    for (let tries = 0; tries < mostTries; tries++) {
      const row = await store.find('service', key)
      const present = row && (await open(row))
      const next = change(present)
      if (!next) return present
      const changed = { ...key, sweepAfter: never, values: await signTenant(vault, next, partition) }
      // A row that does not count is written over: only its place is taken.
      const written = row ? await store.replace('service', changed, row.etag) : await store.insert('service', changed)
      if (written === undefined) continue
      cache.set(tenantId, { tenant: next, at: clock() })
      return next
    }
    throw new BrokerError('store_unavailable', { detail: 'the row of a tenant is changed again and again' })
  }

  return {
    // An id of another form was never written. It must not name a row, or fill the cache.
    stateOf: async (tenantId) => {
      if (tenantId === options.personalTenantId) return 'active'
      if (checkTenantId(tenantId) !== undefined) return 'unknown'
      return (await find(tenantId))?.state ?? 'unknown'
    },
    domainOf: () => undefined,

    add: async ({ tenantId, signedUpBy, domain }) => {
      const now = clock()
      const added = { tenantId, state: 'active', signedUpAt: now, signedUpBy, domain, changedAt: now } as const
      const there = await write(tenantId, (present) => (present ? undefined : added))
      if (!there) throw new BrokerError('store_unavailable', { detail: 'the row of a tenant came and went' })
      return there
    },
    setState: async (tenantId, state) => {
      const changed = await write(tenantId, (present) =>
        !present || present.state === state ? undefined : { ...present, state, changedAt: clock() },
      )
      if (!changed) throw new BrokerError('tenant_unknown')
      return changed
    },
    remove: async (tenantId) => {
      const row = await store.find('service', keyOfRow(tenantId))
      // Its result is not needed: where the answer is lost, it is that of a repetition, which finds no row.
      if (row) await store.remove('service', keyOfRow(tenantId))
      cache.delete(tenantId)
      return row !== undefined
    },
    list: async () => {
      const rows = await store.list('service', partition)
      return (await Promise.all(rows.map(open))).filter((tenant) => tenant !== undefined)
    },
  }
}

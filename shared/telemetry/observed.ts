/** The broker's calls to what is outside, timed and counted: the same interfaces, around the adapters. */
import type { ClientAssertions } from '../credential/client-assertion.ts'
import type { Network } from '../http/network.ts'
import type { KeyVault } from '../vault/vault.key-vault.ts'
import type { AccessTokens } from '../session/access-tokens.ts'
import type { Store } from '../store/store.ts'
import type { Clock } from '../timing/deadline.ts'
import type { Funnel } from './funnel.ts'
import { noTelemetry } from './telemetry.ts'
import type { Outcome, Telemetry } from './telemetry.ts'

/** @param target host of the table service */
export function observeStore(store: Store, telemetry: Telemetry, target: string): Store {
  if (telemetry === noTelemetry) return store
  const observe = <T>(name: string, table: string, work: () => Promise<T>, describe?: (result: T) => Outcome) =>
    telemetry.span({ name: `${name} ${table}`, type: 'Azure table', target }, work, describe)
  /** A write that another instance's was quicker than: no failure, but many of them are worth a look. */
  const conflict = (operation: string, table: string): Outcome => {
    telemetry.count('broker.store.conflicts', { operation, table })
    return { fields: { outcome: 'conflict' } }
  }
  return {
    insert: (table, row) =>
      observe(
        'insert',
        table,
        () => store.insert(table, row),
        (etag) => (etag === undefined ? conflict('insert', table) : {}),
      ),
    find: (table, key, columns) =>
      observe(
        'find',
        table,
        () => store.find(table, key, columns),
        (row) => (row ? {} : { fields: { outcome: 'absent' } }),
      ),
    replace: (table, row, etag) =>
      observe(
        'replace',
        table,
        () => store.replace(table, row, etag),
        (next) => (next === undefined ? conflict('replace', table) : {}),
      ),
    remove: (table, key, etag) =>
      observe(
        'remove',
        table,
        () => store.remove(table, key, etag),
        (removed) => {
          if (removed) return {}
          return etag === undefined ? { fields: { outcome: 'absent' } } : conflict('remove', table)
        },
      ),
    list: (table, partition) => observe('list', table, () => store.list(table, partition)),
    listWhere: (table, name, value) => observe('listWhere', table, () => store.listWhere(table, name, value)),
    listSweepable: (table, before, limit) =>
      observe('listSweepable', table, () => store.listSweepable(table, before, limit)),
  }
}

/** @param target host of the vault */
export function observeVault(vault: KeyVault, telemetry: Telemetry, target: string): KeyVault {
  if (telemetry === noTelemetry) return vault
  const observe = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    let outcome = 'failed'
    try {
      const result = await telemetry.span({ name, type: 'Azure key vault', target }, work)
      outcome = 'succeeded'
      return result
    } finally {
      telemetry.count('broker.vault.calls', { operation: name, outcome })
    }
  }
  return {
    listVersions: () => observe('list versions', () => vault.listVersions()),
    readCertificate: (version) => observe('read certificate', () => vault.readCertificate(version)),
    sign: (version, digest) => observe('sign', () => vault.sign(version, digest)),
    signRs256: (version, digest) => observe('sign', () => vault.signRs256(version, digest)),
    wrap: (key) => observe('wrap', () => vault.wrap(key)),
    unwrap: (wrapped, version) => observe('unwrap', () => vault.unwrap(wrapped, version)),
  }
}

/** To the identity provider and to Graph. A URL's query is never told. */
export function observeNetwork(network: Network, telemetry: Telemetry): Network {
  if (telemetry === noTelemetry) return network
  return (request) => {
    const { host, pathname } = new URL(request.url)
    const call = { name: `${request.method} ${pathname}`, type: 'HTTP', target: host } as const
    return telemetry.span(
      call,
      () => network(request),
      ({ status }) => ({
        succeeded: status < 400,
        fields: { 'http.response.status_code': status },
      }),
    )
  }
}

/** Access tokens as a front end asks for them with its cookie. */
export function observeAccessTokens(accessTokens: AccessTokens, funnel: Funnel): AccessTokens {
  return {
    get: (key, scopes) =>
      funnel.track('token', { frontEnd: key?.frontEndId, by: 'cookie' }, () => accessTokens.get(key, scopes)),
  }
}

/** How old an assertion is when it is used: close to its end, a vault in trouble becomes sign-ins in trouble. */
export function observeAssertions(assertions: ClientAssertions, telemetry: Telemetry, clock: Clock): ClientAssertions {
  if (telemetry === noTelemetry) return assertions
  return {
    ...assertions,
    get: async () => {
      const assertion = await assertions.get()
      const issuedAt = assertions.state()?.issuedAt
      if (issuedAt !== undefined)
        telemetry.latest('broker.assertion.age_seconds', Math.round(clock() / 1000 - issuedAt))
      return assertion
    },
  }
}

/** Common to certificates, keys and secrets: names with versions, attributes, lists in pages. */
import { randomBytes } from 'node:crypto'
import { VaultError } from './vault-error.ts'

/** One object for a certificate's version and its key's, so that a change applies to both. */
export interface Attributes {
  enabled: boolean
  /** Null: a version without this date. */
  notBefore: Date | null
  expires: Date | null
  readonly created: Date
  updated: Date
}

export interface Versioned {
  readonly name: string
  readonly version: string
  readonly attributes: Attributes
}

export interface Store<Item extends Versioned> {
  add(item: Item): void
  /** @throws {VaultError} 409 for the name of a deleted object */
  checkName(name: string): void
  has(name: string): boolean
  /**
   * @param version undefined for the newest, enabled or not
   * @throws {VaultError} 404
   */
  get(name: string, version: string | undefined): Item
  /**
   * All versions, oldest first.
   *
   * @throws {VaultError} 404
   */
  versions(name: string): readonly Item[]
  names(): string[]
  /** Moves a name to the deleted objects, which `deleted` searches; its name stays reserved, as with soft delete. */
  delete(name: string): Item
  deleted(name: string): Item
}

export const newVersion = () => randomBytes(16).toString('hex')

export function createStore<Item extends Versioned>(kind: 'Certificate' | 'Key'): Store<Item> {
  const live = new Map<string, Item[]>()
  const gone = new Map<string, Item[]>()

  const notFound = (id: string) =>
    new VaultError(
      404,
      `${kind}NotFound`,
      `A ${kind.toLowerCase()} with (name/id) ${id} was not found in this key vault.`,
    )
  const versions = (name: string, among = live) => {
    const found = among.get(name)
    if (!found) throw notFound(name)
    return found
  }
  const newest = (items: readonly Item[], name: string) => {
    const last = items.at(-1)
    if (!last) throw notFound(name)
    return last
  }

  const checkName = (name: string) => {
    if (!gone.has(name)) return
    throw new VaultError(
      409,
      'Conflict',
      `${kind} ${name} is currently in a deleted but recoverable state, and its name cannot be reused.`,
      'ObjectIsDeletedButRecoverable',
    )
  }

  return {
    checkName,
    add: (item) => {
      checkName(item.name)
      live.set(item.name, [...(live.get(item.name) ?? []), item])
    },
    has: (name) => live.has(name),
    get: (name, version) => {
      const all = versions(name)
      if (version === undefined) return newest(all, name)
      const found = all.find((item) => item.version === version)
      if (!found) throw notFound(`${name}/${version}`)
      return found
    },
    versions: (name) => versions(name),
    names: () => [...live.keys()].sort(),
    delete: (name) => {
      const all = versions(name)
      live.delete(name)
      gone.set(name, all)
      return newest(all, name)
    },
    deleted: (name) => newest(versions(name, gone), name),
  }
}

export function attributesJson({ enabled, notBefore, expires, created, updated }: Attributes): object {
  return {
    enabled,
    ...(notBefore ? { nbf: seconds(notBefore) } : {}),
    ...(expires ? { exp: seconds(expires) } : {}),
    created: seconds(created),
    updated: seconds(updated),
    recoveryLevel: 'Recoverable',
    recoverableDays: 90,
  }
}

/** The attributes that a client may change with PATCH. */
interface AttributeChanges {
  readonly enabled?: boolean | undefined
  readonly nbf?: number | null | undefined
  readonly exp?: number | null | undefined
}

export function changeAttributes(attributes: Attributes, { enabled, nbf, exp }: AttributeChanges, now: Date): void {
  if (enabled !== undefined) attributes.enabled = enabled
  if (typeof nbf === 'number') attributes.notBefore = new Date(nbf * 1000)
  if (typeof exp === 'number') attributes.expires = new Date(exp * 1000)
  attributes.updated = now
}

const seconds = (date: Date) => Math.floor(date.getTime() / 1000)

/**
 * One page of a list. Versions come in the order of their ids, as in Key Vault: a client must not expect the newest
 * version first or last.
 *
 * @param link address of the list, without query
 * @param pageSize the largest page; a client may request smaller ones with `maxresults`
 */
export function page<Item>(
  items: readonly Item[],
  render: (item: Item) => object,
  { link, query, pageSize }: { link: string; query: URLSearchParams; pageSize: number },
): object {
  const size = Math.min(Number(query.get('maxresults') ?? pageSize) || pageSize, pageSize)
  const start = Number(query.get('$skiptoken') ?? 0) || 0
  const end = start + size
  const next = new URLSearchParams({
    'api-version': query.get('api-version') ?? '',
    $skiptoken: String(end),
    maxresults: String(size),
  })
  return {
    value: items.slice(start, end).map(render),
    nextLink: end < items.length ? `${link}?${next.toString()}` : null,
  }
}

export const byVersion = (a: Versioned, b: Versioned) => (a.version < b.version ? -1 : 1)

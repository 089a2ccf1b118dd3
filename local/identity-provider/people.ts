/** The people of the local identity provider, with identifiers in Entra's form. */
import { createHash } from 'node:crypto'

export interface Person {
  /** The value of the form's field, and the claim `preferred_username`. */
  readonly username: string
  readonly name: string
  /** The claim `oid`: the same in every application of the tenant. */
  readonly objectId: string
  /** The tenant a guest comes from; left out for members. */
  readonly homeTenantId?: string
  /** The tenant of the account; left out for the provider's own. Signs in at an authority for many tenants only. */
  readonly tenantId?: string
  /** Object ids of groups; more than 200 are an overage. */
  readonly groups?: readonly string[]
  /** Further claims of the ID token: `roles`, `wids`, `given_name`. */
  readonly claims?: Readonly<Record<string, unknown>>
}

/** Groups of the tenant. */
function groupIds(count: number): readonly string[] {
  return Array.from({ length: count }, (_, n) => `66666666-0000-4000-8000-${String(n).padStart(12, '0')}`)
}

/** Two members and a guest, so that no code assumes that every person is of this tenant. */
const localPeople: readonly Person[] = [
  {
    username: 'ada@contoso.example',
    name: 'Ada Lovelace',
    objectId: 'aaaaaaaa-0001-4000-8000-000000000001',
    groups: groupIds(2),
    claims: { roles: ['Orders.Approve', 'Orders.Read'], given_name: 'Ada', family_name: 'Lovelace' },
  },
  {
    username: 'grace@contoso.example',
    name: 'Grace Hopper',
    objectId: 'aaaaaaaa-0002-4000-8000-000000000002',
    groups: groupIds(201),
  },
  {
    username: 'margaret@partner.example',
    name: 'Margaret Hamilton',
    objectId: 'aaaaaaaa-0003-4000-8000-000000000003',
    homeTenantId: '99999999-9999-4999-8999-999999999999',
  },
]

/** Two organizations beside the provider's own, each with an administrator, and the tenant of personal accounts. */
export const fabrikam = '77777777-7777-4777-8777-777777777777'
export const litware = '88888888-8888-4888-8888-888888888888'
const personalAccounts = '9188040d-6c67-4c5b-b112-36a304b66dad'

/** Roles of the directory, by their template ids. Every member has the last one. */
export const directoryRoles = {
  globalAdministrator: '62e90394-69f5-4237-9190-012177145e10',
  cloudApplicationAdministrator: '158c047a-c907-4556-b7ef-446551a6b5f7',
  helpdeskAdministrator: '729827e3-9c14-49f7-bb1b-9608f156bbb8',
  member: 'b79fbf4d-3ef9-4689-8143-76b194e85509',
} as const

const peopleOfOtherTenants: readonly Person[] = [
  {
    username: 'rosalind@fabrikam.example',
    name: 'Rosalind Franklin',
    objectId: 'bbbbbbbb-0001-4000-8000-000000000001',
    tenantId: fabrikam,
    claims: { wids: [directoryRoles.globalAdministrator, directoryRoles.member], upn: 'rosalind@fabrikam.example' },
  },
  {
    username: 'francis@fabrikam.example',
    name: 'Francis Crick',
    objectId: 'bbbbbbbb-0002-4000-8000-000000000002',
    tenantId: fabrikam,
    claims: { wids: [directoryRoles.helpdeskAdministrator, directoryRoles.member], upn: 'francis@fabrikam.example' },
  },
  {
    username: 'lise@litware.example',
    name: 'Lise Meitner',
    objectId: 'cccccccc-0001-4000-8000-000000000001',
    tenantId: litware,
    claims: {
      wids: [directoryRoles.cloudApplicationAdministrator, directoryRoles.member],
      upn: 'lise@litware.example',
    },
  },
  {
    username: 'otto@litware.example',
    name: 'Otto Hahn',
    objectId: 'cccccccc-0002-4000-8000-000000000002',
    tenantId: litware,
    claims: { wids: [directoryRoles.member] },
  },
  {
    username: 'visitor@partner.example',
    name: 'A guest of Litware',
    objectId: 'cccccccc-0003-4000-8000-000000000003',
    tenantId: litware,
    homeTenantId: '99999999-9999-4999-8999-999999999999',
    claims: { wids: [directoryRoles.globalAdministrator] },
  },
  {
    username: 'pat@outlook.example',
    name: 'Pat, at home',
    objectId: '00000000-0000-0000-66f3-3332eca7ea81',
    tenantId: personalAccounts,
  },
]

/** The people of one provider: looked up as the form, a hint or a token names them. */
export class Directory {
  /** Of the provider's own tenant. */
  readonly people: readonly Person[]
  readonly #all: readonly Person[]
  readonly #disabled = new Set<string>()
  readonly #changed = new Map<string, Pick<Person, 'groups' | 'claims'>>()

  constructor(people: readonly Person[] = localPeople) {
    this.people = people
    this.#all = [...people, ...peopleOfOtherTenants]
  }

  /** @returns the people who can sign in at an authority: of one tenant, or for many */
  peopleAt(at: { readonly isForMany?: boolean; readonly authority?: string }): readonly Person[] {
    const { isForMany, authority } = at
    if (isForMany !== true) return this.people
    return authority === 'common' ? this.#all : this.#all.filter(({ tenantId }) => tenantId !== personalAccounts)
  }

  findByUsername(username: string, among: readonly Person[] = this.#all): Person | undefined {
    const wanted = username.trim().toLowerCase()
    return among.find((person) => person.username.toLowerCase() === wanted)
  }

  /** The person, unless an administrator disabled the account. */
  findEnabled(objectId: string): Person | undefined {
    const found = this.#all.find((person) => person.objectId === objectId && !this.#disabled.has(objectId))
    return found && { ...found, ...this.#changed.get(objectId) }
  }

  /** Understands what `login_hint` and `logout_hint` may carry: a username or the claim `login_hint`. */
  findByHint(hint: string | undefined): Person | undefined {
    if (hint === undefined) return undefined
    return this.findByUsername(hint) ?? this.#all.find((person) => loginHint(person) === hint)
  }

  isDisabled(person: Person): boolean {
    return this.#disabled.has(person.objectId)
  }

  /** Groups and claims of the person's tokens from now on. */
  change(person: Person, changed: Pick<Person, 'groups' | 'claims'>): void {
    this.#changed.set(person.objectId, { ...this.#changed.get(person.objectId), ...changed })
  }

  setDisabled(person: Person, disabled: boolean): void {
    if (disabled) this.#disabled.add(person.objectId)
    else this.#disabled.delete(person.objectId)
  }
}

/** The optional claim `login_hint`: opaque, as Entra's is, so that no code uses it as a user name. */
export function loginHint(person: Person): string {
  return `O.${Buffer.from(`login-hint:${person.objectId}`).toString('base64url')}`
}

/** `sub` differs from application to application, and is never the object id. */
export function pairwiseSubject(tenantId: string, application: string, objectId: string): string {
  return createHash('sha256').update(`${tenantId}\n${application}\n${objectId}`).digest('base64url')
}

/** The claim `sid`: one for the browser's session at the provider, the same for all applications, shaped as a GUID. */
export function sessionId(sessionUid: string): string {
  const hex = createHash('sha256').update(sessionUid).digest('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join('-')
}

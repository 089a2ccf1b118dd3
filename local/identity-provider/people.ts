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
}

/** Two members and a guest, so that no code assumes that every person is of this tenant. */
export const localPeople: readonly Person[] = [
  { username: 'ada@contoso.example', name: 'Ada Lovelace', objectId: 'aaaaaaaa-0001-4000-8000-000000000001' },
  { username: 'grace@contoso.example', name: 'Grace Hopper', objectId: 'aaaaaaaa-0002-4000-8000-000000000002' },
  {
    username: 'margaret@partner.example',
    name: 'Margaret Hamilton',
    objectId: 'aaaaaaaa-0003-4000-8000-000000000003',
    homeTenantId: '99999999-9999-4999-8999-999999999999',
  },
]

/** The people of one provider: looked up as the form, a hint or a token names them. */
export class Directory {
  readonly people: readonly Person[]
  readonly #disabled = new Set<string>()

  constructor(people: readonly Person[] = localPeople) {
    this.people = people
  }

  findByUsername(username: string): Person | undefined {
    const wanted = username.trim().toLowerCase()
    return this.people.find((person) => person.username.toLowerCase() === wanted)
  }

  /** The person, unless an administrator disabled the account. */
  findEnabled(objectId: string): Person | undefined {
    return this.people.find((person) => person.objectId === objectId && !this.#disabled.has(objectId))
  }

  /** Understands what `login_hint` and `logout_hint` may carry: a username or the claim `login_hint`. */
  findByHint(hint: string | undefined): Person | undefined {
    if (hint === undefined) return undefined
    return this.findByUsername(hint) ?? this.people.find((person) => loginHint(person) === hint)
  }

  isDisabled(person: Person): boolean {
    return this.#disabled.has(person.objectId)
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

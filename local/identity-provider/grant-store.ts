/** The store of oidc-provider's sessions, codes, grants and refresh tokens: in memory, with an end for each. */
import { errors } from 'oidc-provider'
import type { Adapter, AdapterPayload, ClientMetadata } from 'oidc-provider'

interface GrantStoreOptions {
  /** Applications are read each time, so that a certificate registered a moment ago counts. */
  readonly findClient: (clientId: string) => Promise<ClientMetadata | undefined>
  readonly singleUseRefreshTokens: () => boolean
  readonly refuseRepeatedJti: () => boolean
}

interface Row {
  readonly payload: AdapterPayload
  readonly expires: number
}

/** Every so many writes, what has expired is removed: a long run of sign-ins must not fill the memory. */
const writesBetweenSweeps = 2000

export class GrantStore {
  readonly #rows = new Map<string, Row>()
  readonly #byGrant = new Map<string, Set<string>>()
  readonly #byUid = new Map<string, string>()
  readonly #revokedRefreshTokens = new Set<string>()
  /** Authentication contexts that a sign-in satisfied, by its grant. */
  readonly #contexts = new Map<string, readonly string[]>()
  readonly #options: GrantStoreOptions
  #writes = 0

  constructor(options: GrantStoreOptions) {
    this.#options = options
  }

  /** oidc-provider creates one adapter for each model; all of them share the rows. */
  readonly adapter = (model: string): Adapter => {
    const key = (id: string) => `${model}:${id}`
    return {
      upsert: (id, payload, expiresIn) => this.#upsert(model, key(id), payload, expiresIn),
      find: (id) => this.#find(model, key(id), id),
      findByUid: (uid) => this.#find(model, this.#byUid.get(uid) ?? '', uid),
      findByUserCode: () => Promise.resolve(undefined),
      consume: (id) => this.#consume(model, key(id)),
      destroy: (id) => {
        this.#remove(key(id))
        return Promise.resolve()
      },
      revokeByGrantId: (grantId) => {
        for (const row of this.#byGrant.get(grantId) ?? []) this.#remove(row)
        this.#byGrant.delete(grantId)
        return Promise.resolve()
      },
    }
  }

  /** All refresh tokens of a person end, as after "revoke sessions" in Entra. */
  revokeRefreshTokens(accountId: string): void {
    for (const [key, { payload }] of this.#rows) {
      if (!key.startsWith('RefreshToken:') || payload.accountId !== accountId) continue
      this.#remove(key)
      this.#revokedRefreshTokens.add(key.slice('RefreshToken:'.length))
    }
  }

  noteContexts(grantId: string, contexts: readonly string[]): void {
    if (contexts.length > 0) this.#contexts.set(grantId, contexts)
  }

  contextsOf(grantId: string | undefined): readonly string[] {
    return this.#contexts.get(grantId ?? '') ?? []
  }

  isRevoked(refreshToken: string): boolean {
    return this.#revokedRefreshTokens.has(refreshToken)
  }

  #upsert(model: string, key: string, payload: AdapterPayload, expiresIn: number | undefined): Promise<void> {
    if (model === 'ReplayDetection' && !this.#options.refuseRepeatedJti()) return Promise.resolve()
    if (++this.#writes % writesBetweenSweeps === 0) this.#sweep()
    this.#rows.set(key, { payload, expires: expiresIn === undefined ? Infinity : Date.now() + expiresIn * 1000 })
    if (model === 'Session' && payload.uid) this.#byUid.set(payload.uid, key)
    if (payload.grantId) {
      const members = this.#byGrant.get(payload.grantId) ?? new Set()
      this.#byGrant.set(payload.grantId, members.add(key))
    }
    return Promise.resolve()
  }

  async #find(model: string, key: string, id: string): Promise<AdapterPayload | undefined> {
    if (model === 'Client') return await this.#options.findClient(id)
    // Entra accepts an assertion repeatedly until it ends; a strict provider does not.
    if (model === 'ReplayDetection' && !this.#options.refuseRepeatedJti()) return undefined

    // Expired rows are still found until swept: the provider separates "expired" from "unknown".
    return this.#rows.get(key)?.payload
  }

  /** Decides in one step, so that of two requests that race for a code one loses. */
  #consume(model: string, key: string): Promise<void> {
    if (model === 'RefreshToken' && !this.#options.singleUseRefreshTokens()) return Promise.resolve()
    const row = this.#rows.get(key)
    if (!row || row.payload.consumed) {
      const what = model === 'RefreshToken' ? 'refresh token' : 'authorization code'
      return Promise.reject(new errors.InvalidGrant(`${what} already consumed`))
    }
    row.payload.consumed = Math.floor(Date.now() / 1000)
    return Promise.resolve()
  }

  #remove(key: string): void {
    const row = this.#rows.get(key)
    this.#rows.delete(key)
    if (row?.payload.uid && this.#byUid.get(row.payload.uid) === key) this.#byUid.delete(row.payload.uid)
    if (row?.payload.grantId) {
      const members = this.#byGrant.get(row.payload.grantId)
      members?.delete(key)
      if (members?.size === 0) this.#byGrant.delete(row.payload.grantId)
    }
  }

  #sweep(): void {
    const now = Date.now()
    for (const [key, { expires }] of this.#rows) if (expires < now) this.#remove(key)
  }
}

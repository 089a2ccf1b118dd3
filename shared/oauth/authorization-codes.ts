/**
 * One-time codes of OAuth clients (RFC 6749 §4.1.2): a minute long, used once under any race, looked up by hash. The
 * row holds the session that the code will give, sealed by the code itself, so that the row alone opens nothing.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { BrokerError } from '../errors/errors.ts'
import type { KeyRing, RingKey } from '../crypto/key-ring.ts'
import { deriveKey, open, seal } from '../crypto/sealing.ts'
import type { SessionTokens } from '../session/session-row.ts'
import type { Row, RowKey, Store, StoredRow } from '../store/store.ts'
import type { Identity } from '../provider/identity.ts'
import { codeChallengeOf } from '../crypto/pkce.ts'
import type { Clock } from '../async/deadline.ts'
import type { EndForReuse } from './reuse.ts'

/** What a code stands for. */
export interface CodeGrant {
  readonly clientId: string
  readonly redirectUri: string
  readonly codeChallenge: string
  /** What the authorization request asked for; the token answer is for these. */
  readonly scopes: readonly string[]
  readonly identity: Identity
  readonly tokens: SessionTokens
  /** Where the session will stand: a second use of the code ends it there. */
  readonly place: RowKey
}

/** What the client shows at the token endpoint; untrusted. */
export interface CodePresented {
  readonly code: string
  readonly clientId: string
  readonly redirectUri: string | undefined
  readonly codeVerifier: string | undefined
}

export interface Codes {
  issue(grant: CodeGrant): Promise<string>
  /**
   * Takes a code, once among all instances.
   *
   * @returns its grant, and what to call once its session stands: true where the code was used again meanwhile
   * @throws {BrokerError} `grant_invalid`; a second use also ends what the first gave
   */
  take(presented: CodePresented): Promise<{ grant: CodeGrant; wasReused: () => Promise<boolean> }>
}

export interface CodesOptions {
  readonly store: Store
  readonly ring: KeyRing
  readonly clock: Clock
  readonly endForReuse: EndForReuse
}

const lifetimeMilliseconds = 60_000
const format = '1'

type Kept = CodeGrant & { readonly expires: number }

export function createCodes({ store, ring, clock, endForReuse }: CodesOptions): Codes {
  const openRow = async (row: StoredRow, code: string): Promise<Kept | undefined> => {
    const { ringKey, grant, format: rowFormat } = row.values
    const key = typeof ringKey === 'string' ? await ring.find(ringKey) : undefined
    if (!key || rowFormat !== format || !(grant instanceof Uint8Array)) return undefined
    const opened = open(sealingKey(key, code), grant, contextOf(row, key.id))
    return opened === undefined ? undefined : (JSON.parse(opened) as Kept)
  }

  /** Remembered in the row, so that whoever used the code first learns of it too. */
  const onReuse = async (row: StoredRow, { clientId: frontEndId, place }: CodeGrant): Promise<void> => {
    await store.replace('codes', { ...row, values: { ...row.values, used: 'again' } }, row.etag)
    await endForReuse({ frontEndId, place })
  }

  return {
    issue: async (grant) => {
      const code = randomBytes(32).toString('base64url')
      const key = await ring.current()
      const place = placeOf(code)
      const expires = clock() + lifetimeMilliseconds
      const sealed = seal(sealingKey(key, code), JSON.stringify({ ...grant, expires }), contextOf(place, key.id))
      const row: Row = {
        ...place,
        // Longer than its life: a late second use is still one.
        sweepAfter: new Date(expires + 60 * 60 * 1000),
        values: { format, ringKey: key.id, grant: sealed },
      }
      if ((await store.insert('codes', row)) === undefined) {
        throw new BrokerError('store_unavailable', { detail: 'a fresh code was already there' })
      }
      return code
    },

    take: async ({ code, clientId, redirectUri, codeVerifier }) => {
      if (!/^[\w-]{43}$/.test(code)) throw invalid('not a code')
      const row = await store.find('codes', placeOf(code))
      const grant = row && (await openRow(row, code))
      if (!grant) throw invalid('unknown code')
      // Before anything is used up: who has only the code can neither redeem it nor spoil it.
      if (grant.clientId !== clientId) throw invalid('client_id')
      if (grant.redirectUri !== redirectUri) throw invalid('redirect_uri')
      if (!isVerified(codeVerifier, grant.codeChallenge)) throw invalid('code_verifier')

      if (row.values.used !== undefined) {
        await onReuse(row, grant)
        throw invalid('used before')
      }
      if (clock() >= grant.expires) throw invalid('older than a minute')
      const used = await store.replace('codes', { ...row, values: { ...row.values, used: 'once' } }, row.etag)
      if (used === undefined) {
        const now = await store.find('codes', placeOf(code))
        if (now) await onReuse(now, grant)
        throw invalid('used at the same time')
      }
      const wasReused = async () => (await store.find('codes', placeOf(code), ['used']))?.values.used !== 'once'
      return { grant, wasReused }
    },
  }
}

function placeOf(code: string): RowKey {
  const hash = createHash('sha256').update(code).digest('base64url')
  return { partition: hash.slice(0, 2), row: hash }
}

function sealingKey(key: RingKey, code: string) {
  return deriveKey(key.session, code, 'code')
}

function contextOf({ row }: RowKey, ringKeyId: string): string {
  return JSON.stringify([format, 'code', ringKeyId, row])
}

/** RFC 7636 §4.1 and §4.6. */
function isVerified(codeVerifier: string | undefined, codeChallenge: string): boolean {
  if (codeVerifier === undefined || !/^[A-Za-z0-9\-._~]{43,128}$/.test(codeVerifier)) return false
  const [computed, expected] = [Buffer.from(codeChallengeOf(codeVerifier)), Buffer.from(codeChallenge)]
  return computed.length === expected.length && timingSafeEqual(computed, expected)
}

function invalid(detail: string): BrokerError {
  return new BrokerError('grant_invalid', { detail })
}

/**
 * One-time codes of OAuth clients (RFC 6749 §4.1.2): valid for a minute, used once under any race, found by their hash.
 * The row holds the session that the code will open, sealed by the code itself, so the row alone cannot be opened. It
 * is in the partition of that session, so that a sign-out finds it too.
 */
import { hash } from 'node:crypto'
import { BrokerError } from '../errors/errors.ts'
import type { KeyRing, RingKey } from '../crypto/key-ring.ts'
import { randomValue } from '../crypto/random.ts'
import { openSealedRow, sealedValues } from '../crypto/sealed-row.ts'
import type { RowSeal } from '../crypto/sealed-row.ts'
import { deriveKey } from '../crypto/sealing.ts'
import { labelsOf } from '../session/session-labels.ts'
import type { SessionTokens } from '../session/session-row.ts'
import type { Sessions } from '../session/sessions.ts'
import type { Row, RowKey, Store, StoredRow } from '../store/store.ts'
import type { Identity } from '../provider/identity.ts'
import { codeChallengeOf } from '../crypto/pkce.ts'
import { isSameText } from '../crypto/same-text.ts'
import type { Clock } from '../async/deadline.ts'
import { areRegistered, scopesOfOneApi } from '../front-ends/scopes.ts'
import type { FrontEnd } from '../front-ends/front-ends.ts'
import { isRegisteredRedirectUri } from '../front-ends/redirect-uri.ts'
import type { PrepareAnswer } from './prepare-answer.ts'
import type { EndForReuse } from './reuse.ts'

/** The grant that a code represents. */
interface CodeGrant {
  readonly clientId: string
  readonly redirectUri: string
  readonly codeChallenge: string
  /** Scopes of one API; the first access token is for these. */
  readonly scopes: readonly string[]
  /** Granted scopes of other APIs. */
  readonly otherScopes?: readonly string[] | undefined
  /** The OpenID scopes of the authorization request, and its nonce. */
  readonly openid?: readonly string[] | undefined
  readonly nonce?: string | undefined
  readonly identity: Identity
  readonly tokens: SessionTokens
  /** The row of the future session: a second use of the code ends it there. */
  readonly rowKey: RowKey
}

/** A grant as its row keeps it. */
interface IssuedGrant extends CodeGrant {
  /** Milliseconds since the epoch. */
  readonly expires: number
}

/** The client's request at the token endpoint; untrusted, except that the client is registered. */
interface CodePresented {
  readonly code: string
  /** As it is registered now: a redirect URI or an API that it has lost since is refused. */
  readonly client: Pick<FrontEnd, 'id' | 'apis' | 'redirectUris'>
  readonly redirectUri: string
  readonly codeVerifier: string
  /** RFC 8707 §2.2; undefined where the request names none. */
  readonly resource?: string | undefined
  readonly prepare: PrepareAnswer
}

export interface AuthorizationCodes {
  issue(grant: CodeGrant): Promise<string>
  /**
   * Redeems a code; of all instances and requests, one succeeds.
   *
   * @throws {BrokerError} `grant_invalid`, also for a second use, which ends the session of the first;
   *   `scope_not_registered`; `target_invalid`
   */
  take(presented: CodePresented): Promise<UsedCode>
}

export interface UsedCode {
  readonly grant: CodeGrant
  /**
   * To be called after the session exists.
   *
   * @returns `reused` where the code was used again in that time, `signed out` where a sign-out has removed it
   */
  readonly lookAgain: () => Promise<'good' | 'reused' | 'signed out'>
  /**
   * Makes the code valid again, where a fault prevented the answer and no session is left. A code that was used again,
   * or removed, in that time stays as it is.
   */
  readonly giveBack: () => Promise<void>
}

interface AuthorizationCodesOptions {
  readonly store: Store
  readonly ring: KeyRing
  readonly clock: Clock
  readonly endForReuse: EndForReuse
  readonly admits: Sessions['admits']
}

const lifetimeMilliseconds = 60_000

/** A code is the partition, 12 bytes in base64url, and 160 random bits. */
const [partitionLength, secretBytes] = [16, 20]

export function createAuthorizationCodes(options: AuthorizationCodesOptions): AuthorizationCodes {
  const { store, ring, clock } = options

  /**
   * Written into the row first, so that the request that used the code first finds it too. The session ends also where
   * that write fails: the client of a refused code may send no second request.
   */
  const onReuse = async (row: StoredRow, { clientId: frontEndId, rowKey }: CodeGrant): Promise<void> => {
    try {
      await store.replace('codes', { ...row, values: { ...row.values, used: 'again' } }, row.etag)
    } finally {
      await options.endForReuse({ frontEndId, rowKey })
    }
  }

  return {
    issue: async (grant) => {
      const code = `${grant.rowKey.partition}${randomValue(secretBytes).toString('base64url')}`
      const key = await ring.current()
      const issued: IssuedGrant = { ...grant, expires: clock() + lifetimeMilliseconds }
      if ((await store.insert('codes', toRow(code, issued, key))) === undefined) {
        throw new BrokerError('store_unavailable', { detail: 'a fresh code was already there' })
      }
      return code
    },

    take: async ({ code, client, redirectUri, codeVerifier, resource, prepare }) => {
      if (!/^[\w-]{43}$/.test(code)) throw invalid('not a code')
      const row = await store.find('codes', rowKeyOf(code))
      const opened = await openSealedRow(row, ring, sealOf(code))
      if (!row || opened === undefined) throw invalid('unknown code')
      const grant = JSON.parse(opened) as IssuedGrant
      // Checked before the code is used up: a thief of the code alone can neither redeem nor spoil it.
      if (grant.clientId !== client.id) throw invalid('client_id')
      if (grant.redirectUri !== redirectUri) throw invalid('redirect_uri')
      if (!isVerified(codeVerifier, grant.codeChallenge)) throw invalid('code_verifier')
      // The registration and the tenant may have changed since the code was issued.
      if (!isRegisteredRedirectUri(redirectUri, client)) throw invalid('redirect_uri is no longer registered')
      if (!areRegistered(grant.scopes, client)) throw new BrokerError('scope_not_registered')
      scopesOfOneApi(grant.scopes, resource, client)
      if (!(await options.admits(client.id, grant.identity))) throw invalid('the provider or the tenant has no access')

      if (row.values.used !== undefined) {
        await onReuse(row, grant)
        throw invalid('used before')
      }
      if (clock() >= grant.expires) throw invalid('older than a minute')
      await prepare(grant.openid ?? [])
      const used = await store.replace('codes', { ...row, values: { ...row.values, used: 'once' } }, row.etag)
      if (used === undefined) {
        const now = await store.find('codes', rowKeyOf(code))
        if (now) await onReuse(now, grant)
        throw invalid('used at the same time')
      }
      const lookAgain = async () => {
        const now = await store.find('codes', rowKeyOf(code), ['used'])
        if (!now) return 'signed out'
        return now.values.used === 'once' ? 'good' : 'reused'
      }
      const giveBack = async () => {
        await store.replace('codes', row, used)
      }
      return { grant, lookAgain, giveBack }
    },
  }
}

function toRow(code: string, grant: IssuedGrant, key: RingKey): Row {
  const rowKey = rowKeyOf(code)
  return {
    ...rowKey,
    // An hour longer than the code is good: a late second use is still recognised.
    sweepAfter: new Date(grant.expires + 60 * 60 * 1000),
    values: {
      ...labelsOf(grant.identity, grant.clientId, key),
      ...sealedValues(JSON.stringify(grant), rowKey, key, sealOf(code)),
    },
  }
}

function rowKeyOf(code: string): RowKey {
  return { partition: code.slice(0, partitionLength), row: hash('sha256', code, 'base64url') }
}

/** Format `2`: the row is in the partition of its session. It opens with the code alone. */
function sealOf(code: string): RowSeal {
  return { format: '2', purpose: 'code', column: 'grant', keyOf: (ringKey) => deriveKey(ringKey.session, code, 'code') }
}

/** RFC 7636 §4.1 and §4.6. */
function isVerified(codeVerifier: string, codeChallenge: string): boolean {
  if (!/^[A-Za-z0-9\-._~]{43,128}$/.test(codeVerifier)) return false
  return isSameText(codeChallengeOf(codeVerifier), codeChallenge)
}

function invalid(detail: string): BrokerError {
  return new BrokerError('grant_invalid', { detail })
}

/**
 * A sign-out at the provider by POST (RP-Initiated Logout 1.0 §2), for an ID token that is too long for a URL. The form
 * waits in the store, sealed by a handle that only the browser has, and is read once.
 */
import type { Clock } from '../async/deadline.ts'
import type { KeyRing } from '../crypto/key-ring.ts'
import { randomValue } from '../crypto/random.ts'
import { deriveKey, open, seal } from '../crypto/sealing.ts'
import { hashedRowKey } from '../store/hashed-row-key.ts'
import type { RowKey, Store } from '../store/store.ts'

/** The page that sends it needs no script of the front end: it submits itself, or by its button. */
export interface EndSessionForm {
  readonly action: string
  readonly fields: Readonly<Record<string, string>>
}

interface Parts {
  readonly store: Store
  readonly ring: KeyRing
  readonly clock: Clock
}

const lifetimeMilliseconds = 10 * 60 * 1000

/** @returns the handle that opens the form once, for ten minutes */
export async function keepEndSessionForm(form: EndSessionForm, { store, ring, clock }: Parts): Promise<string> {
  const key = await ring.current()
  const secret = randomValue(24).toString('base64url')
  const expires = clock() + lifetimeMilliseconds
  const rowKey = rowKeyOf(secret)
  await store.insert('states', {
    ...rowKey,
    sweepAfter: new Date(expires),
    values: {
      form: seal(sealingKey(key.transaction, secret), JSON.stringify({ ...form, expires }), contextOf(rowKey)),
    },
  })
  return `${key.id}.${secret}`
}

/** @param handle untrusted @returns undefined where it opens no form, or the form was read before */
export async function takeEndSessionForm(
  handle: string,
  { store, ring, clock }: Parts,
): Promise<EndSessionForm | undefined> {
  const [, keyId, secret] = /^(\d{4}-\d{2}-[0-9a-f]{8})\.([\w-]{32})$/.exec(handle) ?? []
  if (keyId === undefined || secret === undefined) return undefined
  const key = await ring.find(keyId)
  const rowKey = rowKeyOf(secret)
  const row = key && (await store.find('states', rowKey))
  const sealed = row?.values.form
  if (!key || !row || !(sealed instanceof Uint8Array)) return undefined
  const opened = open(sealingKey(key.transaction, secret), sealed, contextOf(rowKey))
  // Emptied and not removed: where the answer to a removal is lost, the store cannot confirm that it was this one.
  if (opened === undefined || !(await store.replace('states', { ...row, values: {} }, row.etag))) return undefined
  const { action, fields, expires } = JSON.parse(opened) as EndSessionForm & { readonly expires: number }
  return clock() < expires ? { action, fields } : undefined
}

function rowKeyOf(secret: string): RowKey {
  return hashedRowKey(JSON.stringify(['end session', secret]))
}

function sealingKey(root: Parameters<typeof deriveKey>[0], secret: string) {
  return deriveKey(root, secret, 'end session')
}

function contextOf({ row }: RowKey): string {
  return JSON.stringify(['end session', row])
}

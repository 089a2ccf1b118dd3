/** Shared by the parts of the vault: its address, its clock, its key generator; a call and its response. */
import type { MakeKeyPair } from '../rsa-key-pair.ts'
import { badParameter } from './vault-error.ts'

export interface VaultContext {
  /** `https://localhost:port`, the start of every id. */
  readonly url: () => string
  readonly now: () => Date
  readonly makeKeyPair: MakeKeyPair
  /** The largest page of a list. */
  readonly pageSize: number
}

/** One call from a caller with the permission for it. */
export interface Call {
  readonly name: string
  readonly version: string | undefined
  readonly query: URLSearchParams
  /** Parsed JSON, unchecked; undefined when there was no body. */
  readonly body: unknown
}

export interface Answer {
  readonly status?: number
  readonly body: object
}

export type Handler = (call: Call) => Answer | Promise<Answer>

/** @throws {VaultError} 400 when the body does not match the schema */
export function parseBody<Parsed>(
  schema: {
    safeParse(body: unknown): { success: true; data: Parsed } | { success: false; error: { issues: unknown } }
  },
  body: unknown,
): Parsed {
  const parsed = schema.safeParse(body)
  if (parsed.success) return parsed.data
  throw badParameter(
    `The request body does not match the schema of this operation: ${JSON.stringify(parsed.error.issues)}`,
  )
}

/** A route of Microsoft Graph, as each file of this folder adds them. */
import type { IncomingMessage } from 'node:http'
import type { Identity } from '../managed-identity/access-tokens.ts'

/** One call with a valid token. */
export interface GraphCall {
  readonly caller: Identity
  /** The groups of the path's pattern, decoded. */
  readonly parameters: readonly string[]
  readonly query: URLSearchParams
  readonly headers: IncomingMessage['headers']
  /** Parsed JSON, unchecked. */
  readonly body: unknown
}

export interface GraphAnswer {
  readonly status: number
  readonly body?: object
}

export interface GraphRoute {
  /** The operation's name, for faults. */
  readonly operation: string
  readonly method: string
  /** Pattern of the path after `/v1.0`. */
  readonly path: RegExp
  readonly handle: (call: GraphCall) => GraphAnswer | Promise<GraphAnswer>
}

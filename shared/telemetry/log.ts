/**
 * The log: JSON lines with an event and a fixed list of fields. Lines go to the host's log (`context.log`), which
 * exports them under the invocation's operation.
 */
import { errorCatalogue } from '../errors/catalogue.ts'
import type { BrokerError } from '../errors/errors.ts'

/** Ids, codes and numbers only: no value that could sign a person in, no person's name, no text from outside. */
export interface LogFields {
  readonly reference?: string | undefined
  readonly frontEnd?: string | undefined
  /** Id of an identity provider. */
  readonly provider?: string | undefined
  readonly code?: string
  readonly responsible?: string
  readonly detail?: string | undefined
  readonly removed?: number
  /** The certificate's version in the vault; public. */
  readonly certificateVersion?: string
  readonly daysLeft?: number
  /** Step of the certificate's roll. */
  readonly step?: string
  /**
   * An operator's request for sessions: the members that it named, the ids among their values, and how many there were.
   */
  readonly selector?: string
  readonly tenant?: string | undefined
  readonly objectId?: string | undefined
  readonly sessions?: number
  /** An operator's change of a tenant. */
  readonly action?: string
  /** Fingerprint of the function key of an operator's request. */
  readonly key?: string | undefined
}

export type LogLevel = 'info' | 'warn' | 'error'
export type LogSink = (level: LogLevel, line: string) => void
export type Log = (level: LogLevel, event: string, fields?: LogFields) => void

const allowed: ReadonlySet<string> = new Set<keyof LogFields>([
  'reference',
  'frontEnd',
  'provider',
  'code',
  'responsible',
  'detail',
  'removed',
  'certificateVersion',
  'daysLeft',
  'step',
  'selector',
  'tenant',
  'objectId',
  'sessions',
  'action',
  'key',
])

export function createLog(sink: LogSink): Log {
  return (level, event, fields = {}) => {
    const kept = Object.fromEntries(
      Object.entries(fields).filter(([name, value]) => allowed.has(name) && value !== undefined),
    )
    sink(level, JSON.stringify({ event, ...kept }))
  }
}

/**
 * Log fields of an error: its code, the responsible party, the provider, and the detail,
 * which the broker's own code wrote.
 */
export function describeError(error: BrokerError): LogFields {
  return {
    code: error.code,
    responsible: errorCatalogue[error.code].responsible,
    provider: error.provider,
    detail: error.detail ?? describeCause(error.cause),
  }
}

/** An unknown cause is described by its class and code only: its message may quote a request. */
function describeCause(cause: unknown): string | undefined {
  if (!(cause instanceof Error)) return undefined
  const code = (cause as NodeJS.ErrnoException).code
  // After the message, whose lines may look like stack frames too.
  const message = cause.stack?.indexOf(cause.message) ?? -1
  const places = message < 0 ? undefined : cause.stack?.slice(message + cause.message.length)
  const place = places?.split('\n').find((line) => line.trimStart().startsWith('at '))
  return [cause.name, typeof code === 'string' ? code : undefined, place?.trim()].filter(Boolean).join(' ')
}

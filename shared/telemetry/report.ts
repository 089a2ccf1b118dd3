/**
 * Reports of an instance, as the main thread passes them to the telemetry thread: plain data. They contain names
 * of operations, ids of front ends, codes and numbers only: no secret, no person's name, no text from outside.
 */

export type Fields = Readonly<Record<string, string | number | boolean>>

/** A call to something outside the process. */
export interface SpanReport {
  readonly name: string
  /** The called service, as the application map shows it. */
  readonly type: 'HTTP' | 'Azure table' | 'Azure key vault'
  /** Host, with the port where it is not the usual one. */
  readonly target: string
  /** Milliseconds since the epoch. */
  readonly startedAt: number
  readonly milliseconds: number
  readonly succeeded: boolean
  readonly fields: Fields
}

export interface EventReport {
  readonly name: string
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly fields: Fields
  readonly measurements: Readonly<Record<string, number>>
}

/** Spans and events under one request of the host, or of a background operation. */
export interface OperationReport {
  readonly parent: OperationParent
  readonly spans: readonly SpanReport[]
  readonly events: readonly EventReport[]
}

export type OperationParent =
  | { readonly kind: 'host'; /** W3C Trace Context §3.2 */ readonly traceParent: string }
  /** `id`: later reports with the same id belong to the same operation. */
  | {
      readonly kind: 'background'
      readonly id: number
      readonly name: string
      readonly startedAt: number
      readonly milliseconds: number
    }

/** The growth of a counter, or the newest value of a gauge. */
export interface MetricReport {
  readonly name: string
  readonly kind: 'counter' | 'gauge'
  readonly value: number
  readonly fields: Fields
}

export interface Report {
  readonly operations: readonly OperationReport[]
  readonly metrics: readonly MetricReport[]
}

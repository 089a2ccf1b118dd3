/**
 * What an instance reports, as the main thread hands it to the worker thread: plain data only. Nothing in it can sign
 * anyone in, names a person or repeats text from outside: names, ids of front ends, codes and numbers.
 */

export type Fields = Readonly<Record<string, string | number | boolean>>

/** A call to something outside the process. */
export interface SpanReport {
  readonly name: string
  /** What is spoken to, as the application map shows it. */
  readonly type: 'HTTP' | 'Azure table' | 'Azure key vault'
  /** Host, with the port where it isn't the usual one. */
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

/** All that happened under one request of the host, or in a piece of work that no request began. */
export interface OperationReport {
  readonly parent: OperationParent
  readonly spans: readonly SpanReport[]
  readonly events: readonly EventReport[]
}

export type OperationParent =
  | { readonly kind: 'host'; /** W3C Trace Context §3.2 */ readonly traceParent: string }
  /** `id`: what comes later belongs to the same. */
  | {
      readonly kind: 'own'
      readonly id: number
      readonly name: string
      readonly startedAt: number
      readonly milliseconds: number
    }

/** A counter's growth, or a gauge's newest value. */
export interface MetricReport {
  readonly name: string
  readonly kind: 'sum' | 'latest'
  readonly value: number
  readonly fields: Fields
}

export interface Report {
  readonly operations: readonly OperationReport[]
  readonly metrics: readonly MetricReport[]
}

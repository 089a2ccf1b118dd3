/**
 * The envelopes of Application Insights' ingestion (schema 2.1), and the fields of each that a reader needs. The
 * names are the exporter's; `type` and `kind` identify the portal's table.
 */
import * as z from 'zod/mini'

const text = z.optional(z.string())
const number = z.optional(z.number())
const values = z.optional(z.nullable(z.record(z.string(), z.unknown())))

const baseData = z.looseObject({
  id: text,
  name: text,
  message: text,
  duration: text,
  success: z.optional(z.boolean()),
  resultCode: text,
  responseCode: text,
  target: text,
  type: text,
  data: text,
  severityLevel: z.optional(z.nullable(z.union([z.string(), z.number()]))),
  properties: values,
  measurements: values,
  metrics: z.optional(
    z.array(z.looseObject({ name: z.string(), value: z.number(), count: number, min: number, max: number })),
  ),
  exceptions: z.optional(z.array(z.looseObject({ typeName: text, message: text, stack: text }))),
})

const envelope = z.looseObject({
  name: z.string().check(z.minLength(1), z.maxLength(1024)),
  time: z.string().check(z.refine((time) => !Number.isNaN(Date.parse(time)))),
  iKey: z.string(),
  sampleRate: number,
  tags: z.optional(z.nullable(z.record(z.string(), z.nullable(z.union([z.string(), z.number(), z.boolean()]))))),
  data: z.looseObject({ baseType: z.string(), baseData }),
})

/** One envelope, as it was sent. */
type Envelope = z.infer<typeof envelope>

export interface TelemetryItem {
  /** `span` for a request or a dependency in the portal; `other` for a kind that this module does not know. */
  readonly type: 'span' | 'event' | 'metric' | 'trace' | 'exception' | 'availability' | 'other'
  /** Of a span: its table in the portal. */
  readonly kind: 'request' | 'dependency' | undefined
  /** Of a trace and an exception: the message. */
  readonly name: string
  /** The trace id; undefined for a metric, which belongs to no operation. */
  readonly operationId: string | undefined
  readonly parentId: string | undefined
  /** The span id; a span alone has one. */
  readonly id: string | undefined
  readonly role: string | undefined
  readonly roleInstance: string | undefined
  /** ISO 8601. For a span, the time of its start. */
  readonly time: string
  /** Milliseconds. */
  readonly duration: number | undefined
  readonly success: boolean | undefined
  readonly resultCode: string | undefined
  readonly target: string | undefined
  readonly data: string | undefined
  readonly severity: string | undefined
  readonly properties: Readonly<Record<string, string>>
  readonly measurements: Readonly<Record<string, number>>
  /** Of a metric. */
  readonly value: number | undefined
  readonly count: number | undefined
  readonly min: number | undefined
  readonly max: number | undefined
  readonly sampleRate: number | undefined
  readonly raw: Envelope
}

const typeOf: Readonly<Record<string, TelemetryItem['type']>> = {
  RequestData: 'span',
  RemoteDependencyData: 'span',
  EventData: 'event',
  MetricData: 'metric',
  MessageData: 'trace',
  ExceptionData: 'exception',
  AvailabilityData: 'availability',
}
const severities = ['Verbose', 'Information', 'Warning', 'Error', 'Critical']

/** @returns `undefined` where ingestion would not accept it as an envelope */
export function parseEnvelope(value: unknown): Envelope | undefined {
  const parsed = envelope.safeParse(value)
  return parsed.success ? parsed.data : undefined
}

export function toTelemetryItem(raw: Envelope): TelemetryItem {
  const { baseType, baseData } = raw.data
  const tag = (name: string) => raw.tags?.[name]?.toString()
  const metric = baseData.metrics?.[0]
  const { severityLevel } = baseData
  return {
    type: typeOf[baseType] ?? 'other',
    kind: baseType === 'RequestData' ? 'request' : baseType === 'RemoteDependencyData' ? 'dependency' : undefined,
    name: metric?.name ?? baseData.name ?? baseData.message ?? exceptionName(baseData) ?? raw.name,
    operationId: tag('ai.operation.id'),
    parentId: tag('ai.operation.parentId'),
    id: baseData.id,
    role: tag('ai.cloud.role'),
    roleInstance: tag('ai.cloud.roleInstance'),
    time: raw.time,
    duration: baseData.duration === undefined ? undefined : parseTimeSpan(baseData.duration),
    success: baseData.success,
    resultCode: baseData.resultCode ?? baseData.responseCode,
    target: baseData.target,
    data: baseData.data,
    severity: typeof severityLevel === 'number' ? severities[severityLevel] : (severityLevel ?? undefined),
    properties: mapValues(baseData.properties, String),
    measurements: mapValues(baseData.measurements, Number),
    value: metric?.value,
    count: metric?.count,
    min: metric?.min,
    max: metric?.max,
    sampleRate: raw.sampleRate,
    raw,
  }
}

function exceptionName({ exceptions }: Envelope['data']['baseData']): string | undefined {
  const [first] = exceptions ?? []
  return first && [first.typeName, first.message].filter(Boolean).join(': ')
}

/** .NET's `[d.]hh:mm:ss[.fffffff]` in milliseconds. */
function parseTimeSpan(span: string): number | undefined {
  const [, days = 0, hours, minutes, seconds] = /^(?:(\d+)\.)?(\d+):(\d+):(\d+(?:\.\d+)?)$/.exec(span) ?? []
  if (seconds === undefined) return undefined
  const whole = ((Number(days) * 24 + Number(hours)) * 60 + Number(minutes)) * 60
  // Seven places are a tenth of a microsecond; sums of floating point numbers have more.
  return Math.round((whole + Number(seconds)) * 1e7) / 1e4
}

function mapValues<T>(values: Record<string, unknown> | null | undefined, convert: (value: unknown) => T) {
  return Object.fromEntries(Object.entries(values ?? {}).map(([name, value]) => [name, convert(value)]))
}

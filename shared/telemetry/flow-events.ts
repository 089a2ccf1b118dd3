/**
 * Steps of a sign-in and of its session. Each step is counted, and recorded as an event: the counts show how many
 * succeed, an event shows why one did not. docs/operations.md explains them to operators.
 */
import { defined } from '../json/json.ts'
import { errorCatalogue } from '../errors/catalogue.ts'
import { asBrokerError } from '../errors/errors.ts'
import type { Clock } from '../async/deadline.ts'
import type { Telemetry } from './telemetry.ts'

/**
 * `started`: the browser was sent to the provider. `returned`: it came back with a response for its own request.
 * `redeemed`: the provider issued tokens, and the ID token is valid. `session`: a session was stored. `token`: an
 * access token was returned. `renewal`: a new one was requested from the provider. `sign_out`: sessions were ended.
 * `sign_up`: an administrator signed an organization up.
 */
export type StepName = 'sign_up' | 'started' | 'returned' | 'redeemed' | 'session' | 'token' | 'renewal' | 'sign_out'

interface StepFields {
  /** Id of a registered front end. */
  readonly frontEnd?: string | undefined
  /** Id of a configured identity provider. */
  readonly provider?: string | undefined
  /** A grant type, or the origin of a sign-out. */
  readonly by?: string
  /** Start of this sign-in, milliseconds since the epoch. */
  readonly begunAt?: number
  /** Number of sessions that were ended. */
  readonly sessions?: number
}

export interface Step {
  /** Adds fields that were unknown at the beginning. */
  add(more: StepFields): void
  /** @param outcome where it is neither a success nor a failure */
  end(outcome?: 'repeated'): void
  /** @returns the same error, so that it can be thrown */
  fail<E>(error: E): E
}

export interface FlowEvents {
  begin(name: StepName, fields?: StepFields): Step
  /** Runs a step: it ends or fails as the work does. */
  track<T>(name: StepName, fields: StepFields, work: (step: Step) => Promise<T>): Promise<T>
}

interface FlowEventsOptions {
  readonly telemetry: Telemetry
  readonly clock: Clock
  /** Only registered ids are recorded: a request can name anything. */
  readonly isFrontEnd: (id: string) => boolean
}

export function createFlowEvents({ telemetry, clock, isFrontEnd }: FlowEventsOptions): FlowEvents {
  /** Steps that this instance has completed: the first of each includes loading, keys and connections. */
  const warm = new Set<StepName>()

  const record = (
    name: StepName,
    fields: StepFields,
    outcome: { readonly outcome: string; readonly code?: string; readonly responsible?: string },
    measurements: Readonly<Record<string, number>>,
  ) => {
    const dimensions = {
      step: name,
      ...(fields.frontEnd !== undefined && isFrontEnd(fields.frontEnd) ? { front_end: fields.frontEnd } : {}),
      ...defined({ by: fields.by, provider: fields.provider }),
      ...outcome,
      instance: warm.has(name) ? 'warm' : 'cold',
    }
    telemetry.count('broker.steps', dimensions)
    telemetry.event(`broker.${name}`, dimensions, measurements)
  }

  const begin: FlowEvents['begin'] = (name, known = {}) => {
    let fields = known
    const started = performance.now()
    const measurements = () => ({
      duration_ms: round(performance.now() - started),
      ...(fields.begunAt === undefined ? {} : { since_start_ms: Math.max(0, clock() - fields.begunAt) }),
      ...defined({ sessions: fields.sessions }),
    })
    return {
      add: (more) => {
        fields = { ...fields, ...more }
      },
      end: (outcome) => {
        record(name, fields, { outcome: outcome ?? 'succeeded' }, measurements())
        warm.add(name)
      },
      fail: (thrown) => {
        const { code, provider } = asBrokerError(thrown)
        const { responsible, status } = errorCatalogue[code]
        telemetry.fail(status < 500 ? 'refused' : 'failed')
        const failed = { ...fields, ...defined({ provider }) }
        record(name, failed, { outcome: 'failed', code, responsible }, measurements())
        return thrown
      },
    }
  }

  return {
    begin,
    track: async (name, fields, work) => {
      const step = begin(name, fields)
      try {
        const result = await work(step)
        step.end()
        return result
      } catch (error) {
        throw step.fail(error)
      }
    },
  }
}

/** Discards all events. */
export const noFlowEvents: FlowEvents = {
  begin: () => ({ add: () => undefined, end: () => undefined, fail: (error) => error }),
  track: (_name, _fields, work) => work(noFlowEvents.begin('started')),
}

function round(milliseconds: number): number {
  return Math.round(milliseconds * 10) / 10
}

/**
 * The way of a sign-in and of the session that comes of it, step by step: each is a count and an event, so that a
 * number says how many get through, and an event why one did not. docs/operations.md explains them to operators.
 */
import { defined } from '../json/json.ts'
import { asBrokerError, errorCatalogue } from '../errors/errors.ts'
import type { Clock } from '../async/deadline.ts'
import type { Telemetry } from './telemetry.ts'

/**
 * `started`: the browser was sent to the provider. `returned`: it came back with an answer that belongs to it.
 * `redeemed`: the provider gave tokens, and the ID token is good. `session`: there is a session. `token`: an access
 * token was handed out. `renewal`: the provider was asked for a new one. `sign_out`: sessions were ended.
 */
export type StepName = 'started' | 'returned' | 'redeemed' | 'session' | 'token' | 'renewal' | 'sign_out'

export interface StepFields {
  /** A registered one's id. */
  readonly frontEnd?: string | undefined
  /** Which of several ways: a grant type, who began a sign-out. */
  readonly by?: string
  /** When this sign-in began, milliseconds since the epoch. */
  readonly begunAt?: number
  /** How many sessions were ended. */
  readonly sessions?: number
}

export interface Step {
  /** What was not known yet when it began. */
  about(more: StepFields): void
  /** @param outcome where it is neither a success nor a failure */
  end(outcome?: 'repeated'): void
  /** @returns the same error, so that it can be thrown */
  fail<E>(error: E): E
}

export interface Funnel {
  begin(name: StepName, fields?: StepFields): Step
  /** A step that is one piece of work: it ends, or fails, as that does. */
  track<T>(name: StepName, fields: StepFields, work: (step: Step) => Promise<T>): Promise<T>
}

export interface FunnelOptions {
  readonly telemetry: Telemetry
  readonly clock: Clock
  /** Only ids that are registered are told: what a request says may be anything. */
  readonly isFrontEnd: (id: string) => boolean
}

export function createFunnel({ telemetry, clock, isFrontEnd }: FunnelOptions): Funnel {
  /** Steps that this instance has done before: the first of each pays for loading, keys and connections. */
  const warm = new Set<StepName>()

  const tell = (
    name: StepName,
    fields: StepFields,
    outcome: { readonly outcome: string; readonly code?: string; readonly responsible?: string },
    measurements: Readonly<Record<string, number>>,
  ) => {
    const dimensions = {
      step: name,
      ...(fields.frontEnd !== undefined && isFrontEnd(fields.frontEnd) ? { front_end: fields.frontEnd } : {}),
      ...defined({ by: fields.by }),
      ...outcome,
      instance: warm.has(name) ? 'warm' : 'cold',
    }
    telemetry.count('broker.steps', dimensions)
    telemetry.event(`broker.${name}`, dimensions, measurements)
  }

  const begin: Funnel['begin'] = (name, known = {}) => {
    let fields = known
    const started = performance.now()
    const measurements = () => ({
      duration_ms: round(performance.now() - started),
      ...(fields.begunAt === undefined ? {} : { since_start_ms: Math.max(0, clock() - fields.begunAt) }),
      ...defined({ sessions: fields.sessions }),
    })
    return {
      about: (more) => {
        fields = { ...fields, ...more }
      },
      end: (outcome) => {
        tell(name, fields, { outcome: outcome ?? 'succeeded' }, measurements())
        warm.add(name)
      },
      fail: (thrown) => {
        const { code } = asBrokerError(thrown)
        const { responsible, status } = errorCatalogue[code]
        telemetry.fail(status < 500 ? 'refused' : 'failed')
        tell(name, fields, { outcome: 'failed', code, responsible }, measurements())
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

/** Where nothing is to be reported. */
export const noFunnel: Funnel = {
  begin: () => ({ about: () => undefined, end: () => undefined, fail: (error) => error }),
  track: (_name, _fields, work) => work(noFunnel.begin('started')),
}

function round(milliseconds: number): number {
  return Math.round(milliseconds * 10) / 10
}

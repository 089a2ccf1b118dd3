/**
 * An operator's view of the sessions: lists those of a person, a tenant or a front end (counts and times, since the
 * content opens only with the browser's cookie), and ends them. Refresh tokens of OAuth clients end with their sessions,
 * and codes that no client has redeemed yet are removed first.
 *
 * A call reads the table for a bounded time and returns a sealed continuation where rows are left. It scans, because an
 * index would cost every sign-in a write. Rows are compared here and not by a filter of the service, so that those of
 * the previous release, which lack most labels, are counted.
 */
import { parameterInvalid } from '../errors/errors.ts'
import type { Clock } from '../async/deadline.ts'
import type { KeyRing } from '../crypto/key-ring.ts'
import { openToken, sealToken } from '../crypto/sealed-token.ts'
import { defined } from '../json/json.ts'
import { plainIdPattern } from '../settings/identifiers.ts'
import type { Store, StoredRow } from '../store/store.ts'
import type { FlowEvents } from '../telemetry/flow-events.ts'
import type { Log } from '../telemetry/log.ts'
import { removeAll } from './end-sessions.ts'
import { labelOf, personOf } from './session-labels.ts'
import type { Labelled } from './session-labels.ts'
import { listedColumns } from './session-row.ts'

/** The members of the request; all that are set must match. */
export const selectorNames = ['subject', 'issuer', 'object_id', 'username', 'tenant', 'front_end'] as const

type SelectorName = (typeof selectorNames)[number]

/** The body of the request; its members are untrusted texts. */
export type SessionsRequest = Readonly<Partial<Record<SelectorName | 'continuation', string>>>

export interface ListedSession {
  /** Left out where the front end is no longer registered, and for a row of the previous release. */
  readonly front_end?: string
  /** Left out for a row of the previous release. */
  readonly signed_in_at?: string
  /** Unless it is used before. */
  readonly expires_at?: string
  /** Also where it is used. */
  readonly ends_at?: string
}

export interface ListedSessions {
  readonly sessions: readonly ListedSession[]
  /** Sessions that may match: their rows were written by the previous release, which stored no labels. */
  readonly not_attributed: number
  /** Set where rows are left: the next request repeats the selector with it. */
  readonly continuation?: string
}

export interface EndedSessions {
  readonly ended: number
  readonly not_attributed: number
  readonly continuation?: string
}

export interface SessionAdministration {
  /** @throws {BrokerError} `parameter_invalid`, `store_unavailable`, and what the ring throws */
  list(request: SessionsRequest, log: OperatorLog): Promise<ListedSessions>
  /** @throws {BrokerError} as `list`; sessions may have ended before a fault, and a repetition does no harm */
  end(request: SessionsRequest, log: OperatorLog): Promise<EndedSessions>
}

/** The log of the invocation, with its reference. */
export interface OperatorLog {
  readonly reference: string
  readonly log: Log
}

export interface SessionAdministrationOptions {
  readonly store: Store
  readonly ring: KeyRing
  /** Ids of the registered front ends. */
  readonly frontEnds: readonly string[]
  /** Of the configured providers: a subject without an issuer is looked for at each. */
  readonly issuers: readonly string[]
  readonly clock: Clock
  readonly flowEvents: FlowEvents
  /** Rows of one request to the store; the default is the most that the service returns. */
  readonly pageRows?: number
  /** After this time a call reads no further page. */
  readonly budgetMilliseconds?: number
}

/** Below the 230 seconds of Azure's load balancer, with room for one page that is slow. */
const defaultBudget = 20_000
/** A call that has found this many reads no further page. */
const mostListed = 2_000
const context = 'operator sessions'

type Phase = 'codes' | 'sessions'

interface Position {
  readonly phase: Phase
  readonly after: string | undefined
}

export function createSessionAdministration(options: SessionAdministrationOptions): SessionAdministration {
  const { store, ring, clock, flowEvents, pageRows = 1000, budgetMilliseconds = defaultBudget } = options

  const nextOf = async (
    act: 'list' | 'end',
    selector: Selector,
    position: Position | undefined,
  ): Promise<{ continuation?: string }> => {
    if (!position) return {}
    const content = [act, JSON.stringify(selector), position.phase, position.after]
    return { continuation: sealToken(content, context, await ring.current()) }
  }

  /** @throws {BrokerError} `parameter_invalid` for a continuation of another request */
  const positionOf = async (
    act: 'list' | 'end',
    selector: Selector,
    continuation: string | undefined,
  ): Promise<Position> => {
    if (continuation === undefined) return { phase: act === 'list' ? 'sessions' : 'codes', after: undefined }
    const opened = (await openToken(continuation, context, ring)) as [string, string, Phase, string | null] | undefined
    if (opened?.[0] !== act || opened[1] !== JSON.stringify(selector)) {
      throw parameterInvalid('continuation', 'belongs to no request with these members')
    }
    return { phase: opened[2], after: opened[3] ?? undefined }
  }

  /** Compares rows by the key of the month that sealed them. A key that another instance has just made is read. */
  const createMatcher = (selector: Selector) => {
    const known = new Map<string, Promise<Expected | undefined>>()
    const expectedBy = (ringKeyId: string): Promise<Expected | undefined> => {
      const found = known.get(ringKeyId) ?? expectedOf(ringKeyId)
      known.set(ringKeyId, found)
      return found
    }
    const expectedOf = async (ringKeyId: string): Promise<Expected | undefined> => {
      const key = await ring.find(ringKeyId)
      if (!key) return undefined
      const { subject, issuer } = selector
      const issuers = issuer === undefined ? options.issuers : [issuer]
      return {
        labels: labelledNames.flatMap((name) => {
          const value = selector[name]
          return value === undefined ? [] : [[name, labelOf(name, value, key)] as const]
        }),
        subject: subject === undefined || issuer !== undefined ? undefined : labelOf('subject', subject, key),
        people: new Set(subject === undefined ? [] : issuers.map((one) => personOf({ issuer: one, subject }, key))),
        frontEnds: new Map(options.frontEnds.map((id) => [labelOf('frontEnd', id, key), id])),
      }
    }
    /** @returns `maybe` where the row lacks a label that its release did not write */
    return async ({ values }: StoredRow): Promise<Match> => {
      const expected = typeof values.ringKey === 'string' ? await expectedBy(values.ringKey) : undefined
      // Without the key, the row opens for no cookie either.
      if (!expected) return { is: 'no' }
      const { labels, subject, people, frontEnds } = expected
      const isPerson =
        values.subject === undefined || subject === undefined
          ? people.has(String(values.person))
          : values.subject === subject
      if (selector.subject !== undefined && !isPerson) return { is: 'no' }
      if (labels.length > 0 && values.frontEnd === undefined) return { is: 'maybe' }
      return labels.every(([name, value]) => values[name] === value)
        ? { is: 'yes', frontEnd: frontEnds.get(String(values.frontEnd)) }
        : { is: 'no' }
    }
  }

  /**
   * Reads pages until the time is over.
   *
   * @param handle returns true where no further page is needed
   * @returns where to continue; undefined at the end of the table
   */
  const readPages = async (
    table: Phase,
    after: string | undefined,
    until: number,
    handle: (rows: readonly StoredRow[]) => Promise<boolean>,
  ): Promise<{ after: string } | undefined> => {
    let next = after
    let isEnough: boolean
    do {
      const page = await store.scan(table, { columns: listedColumns, after: next, limit: pageRows })
      isEnough = await handle(page.rows)
      next = page.next
    } while (next !== undefined && !isEnough && clock() < until)
    return next === undefined ? undefined : { after: next }
  }

  return {
    list: async (request, { log, reference }) => {
      const selector = parseSelector(request)
      const { after } = await positionOf('list', selector, request.continuation)
      const matches = createMatcher(selector)
      const sessions: ListedSession[] = []
      let notAttributed = 0
      const rest = await readPages('sessions', after, clock() + budgetMilliseconds, async (rows) => {
        for (const row of rows.filter(isLive)) {
          const match = await matches(row)
          if (match.is === 'maybe') notAttributed += 1
          if (match.is === 'yes') sessions.push(toListed(row, match.frontEnd))
        }
        return sessions.length >= mostListed
      })
      log('info', 'sessions listed by an operator', {
        reference,
        ...auditFields(selector),
        sessions: sessions.length,
      })
      return {
        sessions,
        not_attributed: notAttributed,
        ...(await nextOf('list', selector, rest && { phase: 'sessions', ...rest })),
      }
    },

    end: async (request, { log, reference }) => {
      const selector = parseSelector(request)
      let position: Position | undefined = await positionOf('end', selector, request.continuation)
      const until = clock() + budgetMilliseconds
      const matches = createMatcher(selector)
      let [ended, notAttributed] = [0, 0]
      const endMatching = (table: Phase) => async (rows: readonly StoredRow[]) => {
        const matching: StoredRow[] = []
        for (const row of rows) {
          const { is } = await matches(row)
          if (is === 'yes') matching.push(row)
          if (is === 'maybe' && table === 'sessions' && isLive(row)) notAttributed += 1
        }
        const removed = await removeAll(store, table, matching)
        if (table === 'sessions') ended += removed
        return false
      }

      return flowEvents.track('sign_out', { by: 'operator', frontEnd: selector.frontEnd }, async (step) => {
        try {
          // All codes before the first session; end-sessions.ts explains the order.
          if (position?.phase === 'codes') {
            const rest = await readPages('codes', position.after, until, endMatching('codes'))
            position = rest ? { phase: 'codes', ...rest } : { phase: 'sessions', after: undefined }
          }
          if (position?.phase === 'sessions') {
            const rest = await readPages('sessions', position.after, until, endMatching('sessions'))
            position = rest && { phase: 'sessions', ...rest }
          }
        } finally {
          // Also after a fault: these sessions have ended.
          step.add({ sessions: ended })
          log('warn', 'sessions ended by an operator', { reference, ...auditFields(selector), sessions: ended })
        }
        return { ended, not_attributed: notAttributed, ...(await nextOf('end', selector, position)) }
      })
    },
  }

  /** An expired row waits for the sweep. */
  function isLive({ sweepAfter }: StoredRow): boolean {
    return clock() < sweepAfter.getTime()
  }
}

/** The request, parsed: values of labels; beside an issuer, the subject is the issuer's own. */
type Selector = Readonly<Partial<Labelled & Record<'issuer', string>>>

/** Values of labels by one key of the ring. */
interface Expected {
  /** All must be equal; without the subject. */
  readonly labels: readonly (readonly [keyof Labelled, string])[]
  /** Of people whose subject the broker makes; undefined where the selector names none, or its issuer. */
  readonly subject: string | undefined
  /** The accepted values of `person`, for all other people. */
  readonly people: ReadonlySet<string>
  readonly frontEnds: ReadonlyMap<string, string>
}

type Match = { readonly is: 'no' | 'maybe' } | { readonly is: 'yes'; readonly frontEnd: string | undefined }

const labelledNames = ['frontEnd', 'tenant', 'objectId', 'username'] as const satisfies readonly (keyof Labelled)[]

const guid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i
const forms: Readonly<Record<SelectorName, { readonly form: RegExp; readonly problem: string }>> = {
  subject: { form: /^.{1,255}$/su, problem: 'has 1 to 255 characters' },
  issuer: { form: /^https:\/\/.{1,1000}$/u, problem: 'is the issuer of a provider, an https URL' },
  object_id: { form: guid, problem: 'is a GUID' },
  username: { form: /^.{1,1024}$/su, problem: 'has 1 to 1,024 characters' },
  tenant: { form: guid, problem: 'is a GUID' },
  front_end: { form: plainIdPattern, problem: 'is the id of a front end' },
}

/** @throws {BrokerError} `parameter_invalid`: a request without a selector would mean every session */
function parseSelector(request: SessionsRequest): Selector {
  for (const name of selectorNames) {
    const value = request[name]
    if (value !== undefined && !forms[name].form.test(value)) throw parameterInvalid(name, forms[name].problem)
  }
  const { subject, issuer, object_id, username, tenant, front_end } = request
  if (issuer !== undefined && subject === undefined) throw parameterInvalid('issuer', 'belongs to a subject')
  const selector = defined({
    subject,
    issuer,
    objectId: object_id,
    username,
    tenant,
    frontEnd: front_end,
  })
  if (Object.keys(selector).length === 0) {
    throw parameterInvalid('body', 'names subject, object_id, username, tenant or front_end')
  }
  return selector
}

/** A user name is a name, and the subject of some providers is one too: neither reaches the log. */
function auditFields({ objectId, tenant, frontEnd, ...others }: Selector) {
  const selector = Object.keys({ ...defined({ objectId, tenant, frontEnd }), ...others })
    .sort()
    .join(' ')
  return { selector, objectId, tenant, frontEnd }
}

function toListed({ sweepAfter, values }: StoredRow, frontEnd: string | undefined): ListedSession {
  return defined({
    front_end: frontEnd,
    signed_in_at: toTime(values.signedInAt),
    expires_at: sweepAfter.toISOString(),
    ends_at: toTime(values.absoluteEnd),
  })
}

/** @returns undefined for a value that is no time: the columns are not sealed */
function toTime(milliseconds: unknown): string | undefined {
  const date = new Date(typeof milliseconds === 'string' ? Number(milliseconds) : NaN)
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString()
}

/**
 * An operator's view of the sessions: lists those of a person, a tenant or a front end (counts and times, since the
 * content opens only with the browser's cookie), and ends them. Refresh tokens of OAuth clients end with their
 * sessions, and codes that no client has redeemed yet are removed first.
 *
 * A call reads the table for a bounded time and returns a sealed continuation where rows are left. It scans, because an
 * index would cost every sign-in a write. Rows are compared here and not by a filter of the service, so that those of
 * the previous release, which lack most labels, are counted.
 */
import { asBrokerError, parameterInvalid } from '../errors/errors.ts'
import type { BrokerError } from '../errors/errors.ts'
import type { Clock } from '../async/deadline.ts'
import type { KeyRing } from '../crypto/key-ring.ts'
import { openToken, sealToken } from '../crypto/sealed-token.ts'
import { defined } from '../json/json.ts'
import type { Store, StoredRow } from '../store/store.ts'
import type { FlowEvents } from '../telemetry/flow-events.ts'
import type { Log } from '../telemetry/log.ts'
import { removeAll } from './end-sessions.ts'
import { createMatcher } from './session-matcher.ts'
import type { MatcherOptions } from './session-matcher.ts'
import { listedColumns } from './session-row.ts'
import { auditFields, parseSelector } from './session-selector.ts'
import type { Selector, SessionsRequest } from './session-selector.ts'

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
interface OperatorLog {
  readonly reference: string
  readonly log: Log
}

interface SessionAdministrationOptions extends MatcherOptions {
  readonly store: Store
  readonly ring: KeyRing
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

  /** An expired row waits for the sweep. */
  const isLive = ({ sweepAfter }: StoredRow) => clock() < sweepAfter.getTime()

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
      const call: Call = { act: 'list', selector }
      const { after } = await positionOf(request.continuation, call, ring)
      const matches = createMatcher(selector, options)
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
        ...(await continuationAt(rest && { phase: 'sessions', ...rest }, call, ring)),
      }
    },

    end: async (request, { log, reference }) => {
      const selector = parseSelector(request)
      const call: Call = { act: 'end', selector }
      let position: Position | undefined = await positionOf(request.continuation, call, ring)
      const until = clock() + budgetMilliseconds
      const matches = createMatcher(selector, options)
      let [ended, notAttributed] = [0, 0]
      let fault: BrokerError | undefined
      const endMatching = (table: Phase) => async (rows: readonly StoredRow[]) => {
        const matching: StoredRow[] = []
        for (const row of rows) {
          const { is } = await matches(row).catch((error: unknown) => {
            // A key that cannot be read does not protect the sessions of the other keys.
            fault ??= asBrokerError(error)
            return { is: 'unknown' } as const
          })
          if (is === 'yes') matching.push(row)
          if (is === 'maybe' && table === 'sessions' && isLive(row)) notAttributed += 1
        }
        await removeAll(store, table, matching)
        if (table === 'sessions') ended += matching.length
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
        if (fault) throw fault
        return { ended, not_attributed: notAttributed, ...(await continuationAt(position, call, ring)) }
      })
    },
  }
}

/** The request that a continuation belongs to. */
interface Call {
  readonly act: 'list' | 'end'
  readonly selector: Selector
}

/** @returns no member at the end of the tables */
async function continuationAt(
  position: Position | undefined,
  { act, selector }: Call,
  ring: KeyRing,
): Promise<{ continuation?: string }> {
  if (!position) return {}
  const content = [act, JSON.stringify(selector), position.phase, position.after]
  return { continuation: sealToken(content, context, await ring.current()) }
}

/**
 * @param continuation of the request; untrusted
 * @throws {BrokerError} `parameter_invalid` for a continuation of another request
 */
async function positionOf(continuation: string | undefined, { act, selector }: Call, ring: KeyRing): Promise<Position> {
  if (continuation === undefined) return { phase: act === 'list' ? 'sessions' : 'codes', after: undefined }
  const opened = (await openToken(continuation, context, ring)) as [string, string, Phase, string | null] | undefined
  if (opened?.[0] !== act || opened[1] !== JSON.stringify(selector)) {
    throw parameterInvalid('continuation', 'belongs to no request with these members')
  }
  return { phase: opened[2], after: opened[3] ?? undefined }
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

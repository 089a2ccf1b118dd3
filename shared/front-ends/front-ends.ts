/**
 * The registered front ends. This folder owns their registration as flows use it: return and redirect URLs, scopes, the
 * parameters of `/login`, and the guard of routes that scripts call. It does not own sessions (`session/`), the flows
 * (`sign-in/`, `oauth/`) or the parsing of the setting (`settings/front-ends.schema.ts`).
 */
import { BrokerError } from '../errors/errors.ts'
import { isLoopbackHost, originProblem } from '../settings/addresses.ts'
import { plainIdPattern } from '../settings/identifiers.ts'
import type { FrontEndSettings, FrontEndKind } from '../settings/settings.ts'

export type FrontEnd = FrontEndSettings

export interface FrontEnds {
  /**
   * The front end that a request is for: named by its parameter, by the page's origin, by the origin of the return URL,
   * or the only one there is.
   *
   * @param id the parameter `frontend`; untrusted
   * @param origin the header Origin; untrusted
   * @param returnUrl the parameter `return_url`; untrusted. It also fills the hint that an unknown front end receives
   * @returns a session front end; an OAuth client names itself by `client_id` in each request
   * @throws {BrokerError} `front_end_missing`, `front_end_unknown`, `front_end_conflict`, `front_end_kind_mismatch`
   */
  get(id: string | undefined, origin: string | undefined, returnUrl?: string): FrontEnd
  find(id: string): FrontEnd | undefined
  /** True where a front end, or one of this kind, has this origin: its scripts may read answers (CORS). */
  hasOrigin(origin: string, kind?: FrontEndKind): boolean
  readonly all: readonly FrontEnd[]
}

export function createFrontEnds(all: readonly FrontEnd[]): FrontEnds {
  const byId = new Map(all.map((frontEnd) => [frontEnd.id, frontEnd]))
  const byOrigin = new Map<string, FrontEnd[]>()
  for (const frontEnd of all) {
    for (const origin of frontEnd.origins) byOrigin.set(origin, [...(byOrigin.get(origin) ?? []), frontEnd])
  }

  const named = (id: string, origin: string | undefined, returnUrl: string | undefined): FrontEnd => {
    const frontEnd = byId.get(id)
    if (!frontEnd) throw unknown(id, origin ?? loopbackOrigin(returnUrl))
    if (frontEnd.kind !== 'session') throw new BrokerError('front_end_kind_mismatch')
    // The guard refuses an unregistered origin. The origin of another front end is a mix-up.
    if (origin !== undefined && byOrigin.has(origin) && !frontEnd.origins.includes(origin)) {
      throw new BrokerError('front_end_conflict')
    }
    return frontEnd
  }

  return {
    all,
    find: (id) => byId.get(id),
    hasOrigin: (origin, kind) =>
      (byOrigin.get(origin) ?? []).some((frontEnd) => kind === undefined || frontEnd.kind === kind),
    get: (id, origin, returnUrl) => {
      if (id !== undefined) return named(id, origin, returnUrl)
      // A browser sends no Origin with a link; no front end of another origin would accept its return URL.
      const from = origin ?? URL.parse(returnUrl ?? '')?.origin
      const ofOrigin = from === undefined ? [] : (byOrigin.get(from) ?? [])
      const [only, ...others] = (ofOrigin.length > 0 ? ofOrigin : all).filter(({ kind }) => kind === 'session')
      if (!only || others.length > 0) throw new BrokerError('front_end_missing')
      return only
    },
  }
}

/** Carries the line that would register the front end, so that a developer can copy it. */
function unknown(id: string, origin: string | undefined): BrokerError {
  const isPlainId = plainIdPattern.test(id)
  const registration = {
    id: isPlainId ? id : 'my-app',
    kind: 'session',
    origins: [origin !== undefined && isSuggested(origin) ? origin : 'https://app.example.com'],
    apis: [],
  }
  return new BrokerError('front_end_unknown', { members: { registration: JSON.stringify(registration) } })
}

/**
 * A browser that navigates to `/login` sends no Origin, so a developer's origin comes from the return URL. Only
 * loopback is accepted: any other origin may come from an attacker's link, and must not be suggested for registration.
 */
function loopbackOrigin(returnUrl: string | undefined): string | undefined {
  if (returnUrl === undefined || !URL.canParse(returnUrl)) return undefined
  const { origin, hostname, protocol } = new URL(returnUrl)
  return isLoopbackHost(hostname) && /^https?:$/.test(protocol) ? origin : undefined
}

/** True for an origin that the settings accept: the suggested line must work. */
function isSuggested(origin: string): boolean {
  return origin.length <= 255 && originProblem(origin) === undefined
}

/**
 * Values that are fetched once and kept, so that a server that is down later does not affect an instance that has them;
 * and a key set, which is fetched again within a budget where no key fits a token.
 */
import { withBackOff } from '../async/back-off.ts'
import type { Clock } from '../async/deadline.ts'
import { singleFlight } from '../async/single-flight.ts'
import { keysThatFit } from './keys.ts'
import type { SigningKey } from './keys.ts'
import type { IdentityProvider, TokenOrigin } from './provider.ts'

const freshMilliseconds = 24 * 60 * 60 * 1000
const retryPause = 5_000
/**
 * A token that no kept key fits causes a fetch at once, so that a key rotation takes effect. In this time there is one
 * fetch for each key id, and a few for each origin: many invented ids cause few fetches, and cannot delay the keys of
 * sign-ins.
 */
const refetchPause = 30_000
const refetchBudget = 3

/** The keys of a provider, or of a client that publishes its own. */
export type KeptKeys = Pick<IdentityProvider, 'keysFor' | 'refetchKeys'>

interface KeepOptions<T> {
  readonly fetch: () => Promise<T>
  readonly clock: Clock
  readonly onFault: (error: unknown) => void
}

export function createKeptKeys(options: KeepOptions<readonly SigningKey[]>): KeptKeys {
  const { clock } = options
  const keys = keep(options)
  let missed: readonly { readonly name: string; readonly origin: TokenOrigin; readonly at: number }[] = []
  const mayFetch = (name: string, origin: TokenOrigin): boolean => {
    missed = missed.filter(({ at }) => Math.abs(clock() - at) < refetchPause)
    const ofOrigin = missed.filter((one) => one.origin === origin)
    return ofOrigin.length < refetchBudget && !ofOrigin.some((one) => one.name === name)
  }
  return {
    keysFor: async (kid, algorithm, issuer) => keysThatFit(await keys.get(), kid, algorithm, issuer),
    refetchKeys: async (kid, algorithm, origin, issuer) => {
      const name = JSON.stringify([kid, algorithm])
      if (!mayFetch(name, origin)) return keysThatFit(await keys.get(), kid, algorithm, issuer)
      const found = keysThatFit(await keys.refetch(), kid, algorithm, issuer)
      // Only a fetch that succeeded counts: after one that failed, the keys may still have changed. Any number of
      // requests share a fetch, so the budget is looked at again: it bounds the list too.
      if (mayFetch(name, origin)) missed = [...missed, { name, origin, at: clock() }]
      return found
    },
  }
}

interface Kept<T> {
  readonly value: T
  readonly at: number
  triedAt: number
}

/** Fetches a value when it is first needed, and renews it once a day without making a request wait. */
export function keep<T>({ fetch, clock, onFault }: KeepOptions<T>): {
  readonly get: () => Promise<T>
  readonly refetch: () => Promise<T>
} {
  let kept: Kept<T> | undefined
  // An unauthenticated request can cause a fetch, so a provider that is down is called at intervals only.
  const refetch = singleFlight(
    withBackOff(async () => {
      const value = await fetch()
      kept = { value, at: clock(), triedAt: clock() }
      return value
    }, clock),
  )
  return {
    refetch,
    get: async () => {
      if (!kept) return refetch()
      // In both directions: a clock that was set back must not keep withdrawn keys.
      const isOld = Math.abs(clock() - kept.at) > freshMilliseconds
      if (isOld && Math.abs(clock() - kept.triedAt) > retryPause) {
        kept.triedAt = clock()
        refetch().catch(onFault)
      }
      return kept.value
    },
  }
}

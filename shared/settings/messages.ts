/** Checks for zod that carry the broker's own message (problem and fix) instead of zod's. */
import * as z from 'zod/mini'
import type { Refusal } from './settings-error.ts'

/** Turns a function that returns a refusal into a check; `messageOf` reads the refusal back from the issue. */
export function withMessage<T>(check: (value: T) => Refusal | undefined) {
  return z.check<T>((payload) => {
    const refusal = check(payload.value)
    if (refusal) payload.issues.push(issue(payload.value, refusal))
  })
}

/**
 * As `withMessage`, for a check of several members, each with its path: `['returnUrls', 0]`. It also runs where another
 * check has refused a member, so that every problem is reported at once; it must not rely on the types of the members.
 */
export function withMessages(check: (value: unknown) => readonly (Refusal & { path: PropertyKey[] })[]) {
  return z.check(
    (payload) => {
      for (const { path, ...refusal } of check(payload.value)) {
        payload.issues.push({ ...issue(payload.value, refusal), path })
      }
    },
    { when: () => true },
  )
}

/** @returns the refusal of a check made by `withMessage`; undefined for an issue of zod's own */
export function messageOf(found: z.core.$ZodIssue): Refusal | undefined {
  if (found.code !== 'custom' || typeof found.params?.['fix'] !== 'string') return undefined
  return { problem: found.message, fix: found.params['fix'] }
}

// `continue`: a later check still runs, so that every problem is reported at once.
function issue<T>(input: T, { problem, fix }: Refusal) {
  return { code: 'custom' as const, input, message: problem, params: { fix }, continue: true }
}

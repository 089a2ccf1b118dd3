/** A check for zod that says what is wrong and what to write instead, in place of zod's own words. */
import * as z from 'zod/mini'
import type { Refusal } from './settings-error.ts'

/** A check made of a function that answers with what it refuses; `refusalOf` reads it back from the issue. */
export function refusing<T>(check: (value: T) => Refusal | undefined) {
  return z.check<T>((payload) => {
    const refusal = check(payload.value)
    if (refusal) payload.issues.push(issue(payload.value, refusal))
  })
}

/**
 * The same for a check of several members, each with its place: `['returnUrls', 0]`. It runs even where a member has
 * been refused already, so that every problem is reported at once; it must not trust the types of what it is given.
 */
export function refusingMembers(check: (value: unknown) => readonly (Refusal & { path: PropertyKey[] })[]) {
  return z.check(
    (payload) => {
      for (const { path, ...refusal } of check(payload.value)) {
        payload.issues.push({ ...issue(payload.value, refusal), path })
      }
    },
    { when: () => true },
  )
}

/** What a check made by `refusing` said, or nothing where the issue is zod's own. */
export function refusalOf(found: z.core.$ZodIssue): Refusal | undefined {
  if (found.code !== 'custom' || typeof found.params?.['fix'] !== 'string') return undefined
  return { problem: found.message, fix: found.params['fix'] }
}

// `continue`: a later check still runs, so that every problem is reported at once.
function issue<T>(input: T, { problem, fix }: Refusal) {
  return { code: 'custom' as const, input, message: problem, params: { fix }, continue: true }
}

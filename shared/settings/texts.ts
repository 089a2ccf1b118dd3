/** What a setting's text may be, as schemas: each says in words what is wrong and what to write. */
import * as z from 'zod/mini'
import { refusing } from './refusing.ts'
import type { Refusal } from './settings-error.ts'

export function text(check: (value: string) => Refusal | undefined): z.ZodMiniType<string, string> {
  return z.string().check(refusing((value) => findPadding(value) ?? check(value)))
}

export function parsedText<T>(check: (value: string) => Refusal | undefined, parse: (value: string) => T) {
  return z.pipe(text(check), z.transform(parse)) as z.ZodMiniType<T, string>
}

export function oneOf<const T extends string>(values: readonly T[]): z.ZodMiniType<T, string> {
  return parsedText(
    (value) =>
      (values as readonly string[]).includes(value)
        ? undefined
        : { problem: 'is none of the values that are taken', fix: `Write ${values.join(' or ')}.` },
    (value) => value as T,
  )
}

export function yesOrNo(): z.ZodMiniType<boolean, string> {
  return parsedText(
    (value) =>
      /^(true|false)$/i.test(value) ? undefined : { problem: 'is not a yes or no', fix: 'Write true or false.' },
    (value) => value.toLowerCase() === 'true',
  )
}

/** A day of the calendar: a date that does not exist is refused, since JavaScript would take 31 April for 1 May. */
export function checkDay(value: string): Refusal | undefined {
  const time = /^\d{4}-\d{2}-\d{2}$/.test(value) ? Date.parse(value) : NaN
  if (!Number.isNaN(time) && new Date(time).toISOString().startsWith(value)) return undefined
  return { problem: 'is not a day', fix: 'Write the day as YYYY-MM-DD, such as 2027-03-01.' }
}

function findPadding(value: string): Refusal | undefined {
  return value === value.trim()
    ? undefined
    : { problem: 'has white space at its beginning or end', fix: 'Remove the white space.' }
}

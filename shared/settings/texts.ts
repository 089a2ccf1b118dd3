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

function findPadding(value: string): Refusal | undefined {
  return value === value.trim()
    ? undefined
    : { problem: 'has white space at its beginning or end', fix: 'Remove the white space.' }
}

/** Schemas for the text of a setting, with the broker's own messages. */
import * as z from 'zod/mini'
import { checkGuid } from './identifiers.ts'
import { withMessage } from './messages.ts'
import type { Refusal } from './settings-error.ts'

export function text(check: (value: string) => Refusal | undefined): z.ZodMiniType<string, string> {
  return z.string().check(withMessage((value) => checkReference(value) ?? checkPadding(value) ?? check(value)))
}

export function parsedText<T>(check: (value: string) => Refusal | undefined, parse: (value: string) => T) {
  return z.pipe(text(check), z.transform(parse)) as z.ZodMiniType<T, string>
}

/** As `parsedText`, for the content of a file, which ends with a line break. */
export function pemText<T>(check: (value: string) => Refusal | undefined, parse: (value: string) => T) {
  const schema = z.string().check(withMessage((value) => checkReference(value) ?? check(value)))
  return z.pipe(schema, z.transform(parse)) as z.ZodMiniType<T, string>
}

/** @param fix where to find the GUID */
export function guid(fix: string): z.ZodMiniType<string, string> {
  return parsedText(
    (value) => checkGuid(value, fix),
    (value) => value.toLowerCase(),
  )
}

export function oneOf<const T extends string>(values: readonly T[]): z.ZodMiniType<T, string> {
  return parsedText(
    (value) =>
      (values as readonly string[]).includes(value)
        ? undefined
        : { problem: 'is not an accepted value', fix: `Write ${values.join(' or ')}.` },
    (value) => value as T,
  )
}

export function yesOrNo(): z.ZodMiniType<boolean, string> {
  return parsedText(
    (value) =>
      /^(true|false)$/i.test(value) ? undefined : { problem: 'is neither true nor false', fix: 'Write true or false.' },
    (value) => value.toLowerCase() === 'true',
  )
}

/** A day of the calendar: a date that does not exist is refused, since JavaScript would read 31 April as 1 May. */
export function checkDay(value: string): Refusal | undefined {
  const time = /^\d{4}-\d{2}-\d{2}$/.test(value) ? Date.parse(value) : NaN
  if (!Number.isNaN(time) && new Date(time).toISOString().startsWith(value)) return undefined
  return { problem: 'is not a day', fix: 'Write the day as YYYY-MM-DD, such as 2027-03-01.' }
}

/**
 * A reference to Key Vault or App Configuration. App Service replaces it by the value before the process starts; where
 * that failed, the process sees the reference itself.
 */
export function checkReference(value: string): Refusal | undefined {
  const kind = /^\s*@Microsoft\.(KeyVault|AppConfiguration)\s*\(/i.exec(value)?.[1]
  if (kind === undefined) return undefined
  return kind.toLowerCase() === 'keyvault'
    ? {
        problem: 'is a Key Vault reference that was not resolved',
        fix: 'Write the value itself: the broker needs no secret. Or look at the status of the reference on the page "Environment variables" of the function app: the identity of the reference needs permission to read the secret, the vault must be reachable from the app, and the secret and its version must exist and be enabled. Core Tools and npm start resolve no references.',
      }
    : {
        problem: 'is an App Configuration reference that was not resolved',
        fix: 'Write the value itself. Or look at the status of the reference on the page "Environment variables" of the function app: the identity of the reference needs the role App Configuration Data Reader, the store must be reachable from the app, and the key and its label must exist. Core Tools and npm start resolve no references.',
      }
}

function checkPadding(value: string): Refusal | undefined {
  return value === value.trim()
    ? undefined
    : { problem: 'has white space at its beginning or end', fix: 'Remove the white space.' }
}

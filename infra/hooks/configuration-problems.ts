/** The issues that the schema of a configuration finds, as problems with their place and the fix. */
import type * as z from 'zod/mini'
import { declarations } from '../../shared/settings/declarations.ts'
import { messageOf } from '../../shared/settings/messages.ts'
import { findNearestName } from '../../shared/settings/nearest-name.ts'
import type { Refusal, SettingProblem } from '../../shared/settings/settings-error.ts'
import { configurationSchema } from './configuration.schema.ts'

const members = Object.keys(configurationSchema.def.shape)
const settingNames = Object.values(declarations).map(({ name }) => name)

/** Values that azd stores, by the names under which people write them into the file. */
const ofAzd: Readonly<Record<string, string>> = {
  environmentName: 'AZURE_ENV_NAME',
  location: 'AZURE_LOCATION',
  subscriptionId: 'AZURE_SUBSCRIPTION_ID',
}

const see = 'See docs/environment.schema.json.'

/** @returns one problem, or one for each unknown member; none repeats a value of the file */
export function describeIssue(issue: z.core.$ZodIssue): SettingProblem[] {
  const setting = issue.path.reduce<string>((place, step) => {
    if (typeof step === 'number') return `${place}[${step}]`
    return `${place}${place === '' ? '' : '.'}${printableMember(String(step))}`
  }, '')
  if (issue.code !== 'unrecognized_keys') return [{ setting: setting || 'The file', ...refusalOf(issue) }]
  return issue.keys.map((key) => ({
    setting: `${setting}${setting === '' ? '' : '.'}${printableMember(key)}`,
    problem: 'is unknown',
    fix: setting === '' ? placeOfUnknown(key) : `Remove it. ${see}`,
  }))
}

function placeOfUnknown(key: string): string {
  const variable = ofAzd[key]
  if (variable !== undefined) return `Remove it: azd stores it as ${variable} (azd env set).`
  if (settingNames.includes(key)) return 'Write it as a member of settings.'
  const nearest = findNearestName(key, members)
  return nearest === undefined ? `Remove it. ${see}` : `Did you mean ${nearest}? Otherwise remove it.`
}

/** JSON has no other notation for a type; zod names some of them after TypeScript. */
const types: Readonly<Record<string, Refusal>> = {
  string: { problem: 'is not a text', fix: 'Write it in double quotes.' },
  number: { problem: 'is not a number', fix: 'Write it in digits, without quotation marks.' },
  int: { problem: 'is not a whole number', fix: 'Write it in digits, without quotation marks.' },
  boolean: { problem: 'is not true or false', fix: 'Write true or false, without quotation marks.' },
  array: { problem: 'is not a list', fix: `Write it in square brackets, also with one entry. ${see}` },
  object: { problem: 'is not an object', fix: `Write names and values in braces. ${see}` },
  record: { problem: 'is not an object', fix: 'Write names and values in braces.' },
}

const tooSmall: Readonly<Record<string, string>> = { array: 'has too few entries', string: 'is too short' }
const tooBig: Readonly<Record<string, string>> = { array: 'has too many entries', string: 'is too long' }

function refusalOf(issue: z.core.$ZodIssue): Refusal {
  const refusal = messageOf(issue)
  if (refusal) return refusal
  switch (issue.code) {
    case 'invalid_type':
      return types[issue.expected] ?? { problem: `is not of the type ${issue.expected}`, fix: see }
    case 'invalid_value': {
      const values = issue.values.map((value) => JSON.stringify(value)).join(' or ')
      return { problem: 'is none of the accepted values', fix: `Write ${values}.` }
    }
    case 'invalid_union':
      return { problem: 'is not a text, a number, or true or false', fix: see }
    case 'too_small':
      return { problem: tooSmall[issue.origin] ?? 'is too small', fix: `At least ${Number(issue.minimum)}.` }
    case 'too_big':
      return { problem: tooBig[issue.origin] ?? 'is too large', fix: `At most ${Number(issue.maximum)}.` }
    default:
      return { problem: 'is not written as expected', fix: see }
  }
}

/** A name that may be printed: text that was pasted in the wrong place is not a name. */
export function printableMember(name: string): string {
  return /^[A-Za-z$][A-Za-z0-9_$]{0,80}$/.test(name) ? name : '(a member)'
}

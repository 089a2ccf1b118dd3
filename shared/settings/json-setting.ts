/** Reads a setting that is one JSON text: front ends, providers. Every problem names its place, and no value. */
import * as z from 'zod/mini'
import { messageOf } from './messages.ts'
import { findNearestName } from './nearest-name.ts'
import type { Refusal, SettingProblem } from './settings-error.ts'
import { checkReference } from './texts.ts'

interface JsonSettingOptions<T> {
  readonly schema: z.ZodMiniType<T>
  /** The published schema, for the fixes. */
  readonly page: string
  /** The setting's own message for an issue of zod; undefined for the usual one. */
  readonly describe: (issue: z.core.$ZodIssue, json: unknown) => Refusal | undefined
  readonly unknownMember: (key: string, path: readonly PropertyKey[]) => Refusal
  /** Problems that the schema does not find. */
  readonly find: (json: unknown) => readonly SettingProblem[]
}

/**
 * @param text as set; untrusted
 * @param name of the setting, for the problems
 * @returns the parsed value, or every problem
 */
export function readJsonSetting<T>(
  text: string,
  name: string,
  options: JsonSettingOptions<T>,
): { readonly value: T } | { readonly problems: SettingProblem[] } {
  const reference = checkReference(text)
  if (reference) return { problems: [{ setting: name, ...reference }] }
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (error) {
    // The parser's message quotes the text, so only the position is used.
    const position = /at position (\d+)/.exec(String(error))?.[1]
    return {
      problems: [
        {
          setting: name,
          problem: `is not JSON${position === undefined ? '' : ` (at character ${Number(position) + 1})`}`,
          fix: 'Write one JSON array: names and texts in double quotes, no comma after the last member.',
        },
      ],
    }
  }
  const references = findReferences(json, name)
  if (references.length > 0) return { problems: references }
  const parsed = z.safeParse(options.schema, json)
  const found = options.find(json)
  if (parsed.success && found.length === 0) return { value: parsed.data }
  const issues = parsed.error?.issues ?? []
  const problems = [...issues.flatMap((issue) => describeIssue(issue, json, name, options)), ...found]
  // At most one problem for each place.
  return {
    problems: problems.filter(({ setting }, index) => problems.findIndex((one) => one.setting === setting) === index),
  }
}

/** App Service resolves a reference only where it is the whole value of a setting. */
function findReferences(value: unknown, place: string): SettingProblem[] {
  if (typeof value === 'string') {
    return checkReference(value)
      ? [
          {
            setting: place,
            problem: 'is a reference inside JSON, which App Service does not resolve',
            fix: 'Write the value itself; no member is a secret.',
          },
        ]
      : []
  }
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([member, inner]) =>
    findReferences(inner, Array.isArray(value) ? `${place}[${member}]` : `${place}${memberName(member)}`),
  )
}

/** Replaces zod's messages by the broker's own, which name the place and the fix and repeat no value. */
function describeIssue<T>(
  issue: z.core.$ZodIssue,
  json: unknown,
  name: string,
  { page, describe, unknownMember }: JsonSettingOptions<T>,
): SettingProblem[] {
  const setting =
    name + issue.path.map((step) => (typeof step === 'number' ? `[${step}]` : `.${String(step)}`)).join('')
  const refusal = messageOf(issue) ?? describe(issue, json)
  if (refusal) return [{ setting, ...refusal }]
  const report = (problem: string, fix: string) => [{ setting, problem, fix }]
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => ({ setting: `${setting}${memberName(key)}`, ...unknownMember(key, issue.path) }))
    case 'invalid_type':
      return valueAt(json, issue.path) === undefined
        ? report('is missing', `Add it; ${page} describes it.`)
        : report(`is not ${withArticle(issue.expected)}`, `${page} describes it.`)
    case 'invalid_value':
      return report(
        'is not an accepted value',
        `Write ${issue.values.map((value) => `"${String(value)}"`).join(', ')}.`,
      )
    case 'too_small':
      return report('is empty', `Write at least ${Number(issue.minimum)}, or delete an optional member.`)
    case 'too_big':
      return report(
        'is too long',
        `At most ${Number(issue.maximum)} ${issue.origin === 'string' ? 'characters' : 'entries'}.`,
      )
    default:
      return report('is not an accepted value', `${page} describes it.`)
  }
}

/** The refusal of a member that the schema does not know. */
export function unknownOf(key: string, known: readonly string[]): Refusal {
  const nearest = findNearestName(key, known)
  return {
    problem: 'is unknown',
    fix: nearest === undefined ? `Remove it; known are ${known.join(', ')}.` : `Did you mean ${nearest}?`,
  }
}

/** A member's name for a message. A text that is not a name may be a pasted secret, and is not repeated. */
function memberName(key: string): string {
  return /^[A-Za-z][A-Za-z0-9_-]{0,31}$/.test(key) ? `.${key}` : '.(a member)'
}

export function valueAt(json: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce(memberOf, json)
}

function withArticle(expected: string): string {
  return expected === 'array' || expected === 'object' ? `an ${expected}` : `a ${expected}`
}

export function findRepeated(values: readonly unknown[], member: string[], fix: string) {
  return values.flatMap((value, index) =>
    value === undefined || values.indexOf(value) === index
      ? []
      : [{ path: [index, ...member], problem: 'occurs twice', fix }],
  )
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

export function membersOf(list: unknown, member: string): readonly unknown[] {
  return listOf(list).map((one) => memberOf(one, member))
}

export function memberOf(value: unknown, member: PropertyKey): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<PropertyKey, unknown>)[member] : undefined
}

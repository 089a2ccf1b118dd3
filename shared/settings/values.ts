/** Reads each declared setting by itself: text from the environment to a checked value. */
import * as z from 'zod/mini'
import type { AddedHosts } from './addresses.ts'
import { declarations } from './declarations.ts'
import { missing } from './declare.ts'
import type { Declaration } from './declare.ts'
import { areProblems, parseFrontEnds } from './front-ends.schema.ts'
import type { FrontEndSettings } from './front-ends.schema.ts'
import { parseProviders, primaryId } from './providers.schema.ts'
import type { ProviderList } from './providers.schema.ts'
import { messageOf } from './messages.ts'
import type { SettingsReport } from './settings-report.ts'
import type { Refusal } from './settings-error.ts'

/** The settings that are set, by name; an empty one counts as not set. */
export type SetTexts = ReadonlyMap<string, string>

type Declarations = typeof declarations
type Value<D extends Declaration> =
  z.output<D['schema']> | (D extends { optional: true } | { about: string } ? undefined : never)

/** A value for each declaration. Undefined is possible only for optional settings and those of one kind of provider. */
export type Values = {
  readonly [Name in Exclude<keyof Declarations, 'frontEnds' | 'providers'>]: Value<Declarations[Name]>
} & {
  readonly providers: ProviderList | undefined
  readonly frontEnds: readonly FrontEndSettings[]
}

/** While problems are being collected, any value may be missing. */
export type MaybeValues = { readonly [Name in keyof Values]: Values[Name] | undefined }

export function setTextsOf(environment: Readonly<Record<string, string | undefined>>): SetTexts {
  const texts = Object.entries(environment).filter((entry): entry is [string, string] => !!entry[1])
  return new Map(texts)
}

/** True where no other provider is named. */
export function isForEntra(texts: SetTexts): boolean {
  return !texts.has(declarations.authority.name)
}

export function readValues(texts: SetTexts, report: SettingsReport): MaybeValues {
  const added = readValue(declarations.additionalHosts, texts, report) as AddedHosts | undefined
  const providers = readProviders(texts.get(declarations.providers.name), added, report)
  const entries = Object.entries<Declaration>(declarations).map(([name, declaration]) => {
    if (declaration === declarations.additionalHosts) return [name, added]
    const value = readValue(declaration, texts, report, added)
    if (declaration === declarations.providers) return [name, providers]
    return [name, declaration === declarations.frontEnds ? readFrontEnds(value, providers, texts, report) : value]
  })
  return Object.fromEntries(entries) as MaybeValues
}

/**
 * The JSON of providers and front ends has a problem for each member, so it is parsed here and not by a declaration.
 */
function readProviders(
  json: string | undefined,
  added: AddedHosts | undefined,
  report: SettingsReport,
): ProviderList | undefined {
  const { name } = declarations.providers
  if (json === undefined || report.has(name)) return undefined
  const providers = parseProviders(json, name, added)
  if (!Array.isArray(providers)) return providers
  report.problems.push(...providers)
  return undefined
}

function readFrontEnds(
  json: unknown,
  providers: ProviderList | undefined,
  texts: SetTexts,
  report: SettingsReport,
): readonly FrontEndSettings[] | undefined {
  if (typeof json !== 'string') return undefined
  const frontEnds = parseFrontEnds(json, declarations.frontEnds.name, takesEntra(providers, isForEntra(texts)))
  if (!areProblems(frontEnds)) return frontEnds
  report.problems.push(...frontEnds)
  return undefined
}

/**
 * Entra ID refuses a scope without a resource after the person has signed in;
 * other providers have scopes of other forms.
 */
export function takesEntra(providers: ProviderList | undefined, isPrimaryEntra: boolean) {
  const ofEntra = new Set<unknown>([
    ...(isPrimaryEntra ? [providers?.primary?.id ?? primaryId] : []),
    ...(providers?.others ?? []).flatMap(({ id, provider }) => ('tenantId' in provider.identity ? [id] : [])),
  ])
  return (taken: readonly unknown[] | undefined) => (taken ? taken.some((id) => ofEntra.has(id)) : isPrimaryEntra)
}

/** @returns undefined where the setting is not set, and where it was reported */
export function readValue(
  declaration: Declaration,
  texts: SetTexts,
  report: SettingsReport,
  added?: AddedHosts,
): unknown {
  const { name, about } = declaration
  if (about === (isForEntra(texts) ? 'other providers' : 'Entra ID')) {
    if (texts.has(name) && !report.has(name)) report.refuse(name, forOtherProvider(about))
    return undefined
  }
  const writtenName = writtenNameOf(declaration, texts, report)
  if (report.has(writtenName)) return undefined
  const value = texts.get(writtenName) ?? declaration.default
  if (value === undefined) {
    if (!declaration.optional) report.refuse(name, missing(declaration))
    return undefined
  }
  const parsed = z.safeParse((added && declaration.schemaWith?.(added)) ?? declaration.schema, value)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  const refusal = (issue && messageOf(issue)) ?? { problem: 'is not an accepted value', fix: declaration.sentence }
  if (declaration.faultWarns) report.warn(writtenName, refusal)
  else report.refuse(writtenName, refusal)
  return undefined
}

/** The name under which a setting is set: its own, or its older one. Two different values are a problem. */
function writtenNameOf({ name, olderName }: Declaration, texts: SetTexts, report: SettingsReport): string {
  if (olderName === undefined || !texts.has(olderName)) return name
  if (!texts.has(name)) return olderName
  if (texts.get(name) !== texts.get(olderName)) {
    report.refuse(olderName, {
      problem: `has another value than ${name}`,
      fix: 'Delete it: it is the older name of the same setting.',
    })
  }
  return name
}

/** One broker signs people in at one provider. */
function forOtherProvider(about: 'Entra ID' | 'other providers'): Refusal {
  const { name } = declarations.authority
  return about === 'Entra ID'
    ? { problem: `is for Entra ID, but ${name} names another provider`, fix: 'Delete one of the two.' }
    : { problem: 'is for other providers, but none is named', fix: `Delete it, or name the provider in ${name}.` }
}

/** The declaration of a setting: its type, and the helpers that make one. */
import type * as z from 'zod/mini'
import type { AddedHosts } from './addresses.ts'
import type { Refusal } from './settings-error.ts'
import { parsedText } from './texts.ts'

/** The sections of docs/settings.md, in its order. */
export const sections = [
  'Broker',
  'Identity provider',
  'Credential',
  'Store',
  'Sign-in and session',
  'Telemetry',
  'Host',
] as const

export interface Declaration<T = unknown> {
  readonly name: string
  /** The older name that Microsoft.Identity.Web has for the same setting. */
  readonly olderName?: string
  readonly section: (typeof sections)[number]
  /** Its purpose, in one or a few sentences. */
  readonly sentence: string
  readonly unit?: 'seconds'
  /** The accepted values, in words. */
  readonly bounds: string
  /** As it would be written. A setting without a default is required, unless it is `optional`. */
  readonly default?: string
  readonly optional?: true
  /** The kind of provider that the setting is for; it is refused beside the other kind. Left out: both. */
  readonly about?: 'Entra ID' | 'other providers'
  /** A fault is a warning, and the setting counts as not set: telemetry never closes the broker. */
  readonly faultWarns?: true
  /** As it is written in Azure. */
  readonly example?: string
  /** As it is written on a laptop, where every part is in `local/`. */
  readonly local?: string
  /** From the text that was set to the value that the broker uses. */
  readonly schema: z.ZodMiniType<T, string>
  /** The same for the address of an Azure service, with the hosts of Broker__AdditionalHosts. */
  readonly schemaWith?: (added: AddedHosts) => z.ZodMiniType<T, string>
}

/** Keeps the declaration's own type, from which the type of the parsed settings follows. */
export function declare<const D extends Declaration>(declaration: D): D {
  return declaration
}

/** The address of an Azure service: a host of the clouds, or of Broker__AdditionalHosts. */
export function azureAddress(
  check: (value: string, added?: AddedHosts) => Refusal | undefined,
  parse: (value: string) => string,
) {
  const schemaWith = (added?: AddedHosts) => parsedText((value) => check(value, added), parse)
  return { schema: schemaWith(), schemaWith }
}

/** A time in whole seconds, with its bounds. */
export function declareSeconds(seconds: {
  name: string
  section?: Declaration['section']
  sentence: string
  default: number
  least: number
  most: number
}) {
  const { name, section = 'Sign-in and session', sentence, least, most } = seconds
  const isWithin = (value: string) => /^\d{1,9}$/.test(value) && Number(value) >= least && Number(value) <= most
  return declare({
    name,
    sentence,
    section,
    unit: 'seconds',
    bounds: `${least} to ${most}`,
    default: String(seconds.default),
    local: String(seconds.default),
    schema: parsedText(
      (value) =>
        isWithin(value)
          ? undefined
          : {
              problem: `is not a whole number of seconds from ${least} to ${most}`,
              fix: `Write the number in digits, or delete the setting for ${seconds.default}.`,
            },
      Number,
    ),
  })
}

/** The refusal of a required setting that is not set. */
export function missing({ name, sentence, example }: Declaration): Refusal {
  return { problem: 'is missing', fix: `${sentence} For example ${name}=${example ?? ''}` }
}

/** Reads one parameter of a request of OAuth: in a query, or in a form. */
import { parameterInvalid, parameterRepeated } from '../errors/errors.ts'
import { hasControlCharacter } from '../front-ends/login-parameters.ts'

/** The most characters of a parameter without a limit of its own. */
const usualLimit = 4096

/**
 * @param fields untrusted
 * @param limit the most characters
 * @returns undefined also for an empty value, which counts as absent (RFC 6749 §3.1 and §3.2)
 * @throws {BrokerError} `parameter_repeated`, `parameter_invalid`
 */
export function optional(fields: URLSearchParams, name: string, limit = usualLimit): string | undefined {
  const [value, ...others] = fields.getAll(name)
  if (others.length > 0) throw parameterRepeated(name)
  if (value === undefined || value === '') return undefined
  if (value.length > limit || hasControlCharacter(value)) {
    throw parameterInvalid(name, 'too long, or with control characters')
  }
  return value
}

/** @throws {BrokerError} `parameter_invalid` where it is missing or empty; as `optional` */
export function required(fields: URLSearchParams, name: string, limit = usualLimit): string {
  const value = optional(fields, name, limit)
  if (value === undefined) throw parameterInvalid(name, 'missing')
  return value
}

/** The log of the local host: lines on standard error, each with its function and its invocation. */
import type { LogLevel } from './rpc.ts'

interface LogLine {
  readonly level: LogLevel
  /** Formatted by the worker. */
  readonly message: string
  readonly functionName?: string | undefined
  readonly invocationId?: string | undefined
}

export type WriteLog = (line: LogLine) => void

const severity: readonly LogLevel[] = ['trace', 'debug', 'information', 'warning', 'error', 'critical', 'none']

/**
 * Writes `[time] function invocationId: message`, with the level named from `warning` up.
 *
 * @param levels `logging.logLevel` of host.json: the longest category that is a prefix of the line's
 *   category applies; lines of this host itself are under `default` only
 */
export function createLog(
  levels: Readonly<Record<string, string>>,
  write: (text: string) => void = (text) => void process.stderr.write(text),
): WriteLog {
  return ({ level, message, functionName, invocationId }) => {
    const category = functionName === undefined ? 'Local' : `Function.${functionName}.User`
    if (!isLogged(category, level, levels)) return

    const subject = [functionName, invocationId].filter((part) => part !== undefined).join(' ')
    const loud = severity.indexOf(level) >= severity.indexOf('warning') ? `${level}: ` : ''
    write(`[${new Date().toISOString()}] ${subject || 'host'}: ${loud}${message}\n`)
  }
}

/** @param levels `logging.logLevel` of host.json */
export function isLogged(category: string, level: LogLevel, levels: Readonly<Record<string, string>>): boolean {
  return severity.indexOf(level) >= severity.indexOf(threshold(category, levels))
}

function threshold(category: string, levels: Readonly<Record<string, string>>): LogLevel {
  const [best] = Object.keys(levels)
    .filter((prefix) => category === prefix || category.startsWith(`${prefix}.`))
    .sort((one, other) => other.length - one.length)
  const named = (levels[best ?? 'default'] ?? 'Information').toLowerCase()
  return severity.find((level) => level === named) ?? 'information'
}

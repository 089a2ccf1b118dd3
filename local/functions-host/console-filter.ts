/**
 * Filters the worker's own output as the real host does. Each line on standard output and standard error of the worker
 * belongs to the category `Host.Function.Console`, and its words give its level: `warn` is Warning; `error`, `fail` and
 * `severe` are Error; every other line is Information. host.json then decides which lines arrive.
 */
import { isLogged } from './log.ts'
import type { LogLevel } from './rpc.ts'

const category = 'Host.Function.Console'

export function consoleLevel(line: string): LogLevel {
  if (/warn/i.test(line)) return 'warning'
  return /error|fail|severe/i.test(line) ? 'error' : 'information'
}

/** @returns the lines of `text` that the host keeps, each with its line break; empty where it keeps none */
export function filterConsole(text: string, levels: Readonly<Record<string, string>>): string {
  const kept = text
    .replace(/\n$/, '')
    .split('\n')
    .filter((line) => isLogged(category, consoleLevel(line), levels))
  return kept.map((line) => `${line}\n`).join('')
}

/**
 * After this call, standard error of this process shows only the lines that the host keeps.
 *
 * @param levels `logging.logLevel` of host.json
 * @returns writes to standard error without the filter, for the host's own lines
 */
export function filterStandardError(levels: Readonly<Record<string, string>>): (text: string) => void {
  const { stderr } = process
  const write: (text: string) => boolean = stderr.write.bind(stderr)
  stderr.write = (chunk: string | Uint8Array, ...others: unknown[]): boolean => {
    const kept = filterConsole(typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString('utf8'), levels)
    const callback = others.find((one) => typeof one === 'function') as ((error?: Error) => void) | undefined
    const isDrained = kept === '' || write(kept)
    callback?.()
    return isDrained
  }
  return (text) => void write(text)
}
